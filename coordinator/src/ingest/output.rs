//! Outputs, verified: hash, size and references are computed here, whatever the agent says.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use futures::StreamExt;
use grange_derivation::{Derivation, FixedOutput, Hash, HashAlgo, Hasher, StorePath, nar, refs};
use grange_fail_points::{Point, reach};
use grange_interfaces::message::ReportedOutput;
use grange_interfaces::{ArtifactError, Body, Fault, Refusal, Source, UploadId};
use grange_model::{AttemptId, DerivationRecord, Item, ItemRecord};
use sha2::{Digest, Sha256};
use tokio_util::io::{StreamReader, SyncIoBridge};
use zstd::bulk::Decompressor;

use super::closure::closure_of_inputs;
use super::uploads::upload_of;
use crate::convert::{
    artifact_refusal, blob, digest, hex, item, nar_hash, parse_path, parse_sha256,
};
use crate::handle::Handle;
use crate::retain::{Pin, Reliance};
use crate::shared::Shared;
use crate::upstream;

/// An output that has at most so many bytes, compressed and not, is read at once and in memory.
const SMALL_FILE: u64 = 16 << 10;
const SMALL_NAR: u64 = 64 << 10;
/// Bytes of a nar that are looked at together.
const BUFFER: usize = 256 << 10;

/// An agent said what is not so, or sent what cannot be taken: its attempt is worth nothing.
#[derive(Debug)]
pub(crate) struct Lie(pub(crate) String);

/// Why outputs were not taken.
#[derive(Debug)]
pub(crate) enum Rejected {
    Lie(Lie),
    /// They are what was said, but refer to what the coordinator cannot have.
    Foreign(String),
    Refusal(Refusal),
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

/// What a nar turned out to be.
struct Found {
    nar_sha256: [u8; 32],
    nar_size: u64,
    file_sha256: [u8; 32],
    file_size: u64,
    references: Vec<[u8; 20]>,
    flat: Option<Hash>,
}

/// What must stay until the names of verified outputs are durable.
#[derive(Debug)]
pub(crate) struct Needed {
    _blobs: Vec<Pin>,
    _references: Reliance,
}

/// Verifies and seals all outputs of an attempt, in the order of the derivation. What is needed is
/// kept until their names are durable.
#[expect(
    clippy::too_many_arguments,
    reason = "each is another thing that is looked at"
)]
pub(crate) async fn verify_outputs(
    shared: &Shared,
    handle: &Handle,
    attempt: AttemptId,
    record: &DerivationRecord,
    derivation: &Derivation,
    path: &StorePath,
    reported: &[ReportedOutput],
    still_wanted: impl Future<Output = Result<(), Refusal>> + Send,
) -> Result<(Vec<ItemRecord>, Needed), Rejected> {
    let closure = closure_of_inputs(shared, record).await?;
    let mut candidates: BTreeMap<[u8; 20], Item> = closure
        .items
        .into_iter()
        .map(|found| (found.item().digest.0, found.item().clone()))
        .collect();
    for output in &record.outputs {
        candidates.insert(output.item.digest.0, output.item.clone());
    }
    // An agent has inputs from substitute servers of its own, and what was here may be gone upstream since: what it says
    // that outputs refer to is looked for as well.
    let elsewhere = elsewhere(shared, reported, &candidates)?;
    candidates.extend(elsewhere.iter().map(|(digest, path)| (*digest, item(path))));
    let mut verified = Vec::new();
    let mut pins = Vec::new();
    for output in &record.outputs {
        let said = reported.iter().find(|said| said.name == output.name);
        let said =
            said.ok_or_else(|| Rejected::Lie(Lie(format!("output {} was not sent", output.name))))?;
        let fixed = derivation
            .outputs
            .get(output.name.as_str())
            .and_then(|output| output.fixed);
        let (found, pin) = examine(shared, attempt, said, &candidates, fixed).await?;
        pins.push(pin);
        compare(shared, output, said, &found, &candidates, fixed)?;
        verified.push((said, output, found));
    }
    let found = verified.iter().flat_map(|(_, _, found)| &found.references);
    let foreign: BTreeSet<_> = found.filter_map(|digest| elsewhere.get(digest)).collect();
    let foreign = foreign.into_iter().cloned().collect();
    let lacking = upstream::record(shared, handle, foreign).await?;
    if let Some(path) = lacking.first() {
        return Err(Rejected::Foreign(format!(
            "an output refers to {path}, which neither the coordinator has nor its substitute servers: the coordinator \
             needs those of its agents"
        )));
    }
    // As long as its build is unfinished, what the build needs stays, and all that this refers to; then
    // what refers to it has to be durable.
    let references = verified.iter().flat_map(|(_, _, found)| &found.references);
    let references = references.map(|digest| grange_model::Digest(*digest));
    let references = shared.relied.rely(references.collect()).await;
    // It may have taken minutes: what is void by now is not kept.
    still_wanted.await?;
    reach(Point::OutputsVerified);
    let mut records = Vec::new();
    for (said, output, found) in verified {
        let upload = upload_of(attempt, &said.file_hash)?;
        let blob = blob(found.file_sha256);
        shared
            .artifacts
            .seal(&upload, blob)
            .await
            .map_err(artifact_refusal)?;
        let references = found
            .references
            .iter()
            .map(|digest| candidates[digest].clone());
        let mut references: Vec<_> = references.collect();
        references.sort();
        records.push(ItemRecord {
            item: output.item.clone(),
            store: record.store.clone(),
            nar_hash: nar_hash(found.nar_sha256),
            nar_size: found.nar_size,
            references,
            deriver: Some(item(path)),
            blob,
            blob_size: found.file_size,
        });
    }
    reach(Point::OutputsSealed);
    let needed = Needed {
        _blobs: pins,
        _references: references,
    };
    Ok((records, needed))
}

/// What the outputs are said to refer to that is no candidate yet.
fn elsewhere(
    shared: &Shared,
    reported: &[ReportedOutput],
    candidates: &BTreeMap<[u8; 20], Item>,
) -> Result<BTreeMap<[u8; 20], StorePath>, Rejected> {
    let mut elsewhere = BTreeMap::new();
    for path in reported.iter().flat_map(|said| &said.references) {
        let path = parse_path(&shared.config, path);
        let path = path.map_err(|wrong| Rejected::Lie(Lie(wrong.message)))?;
        if !candidates.contains_key(path.digest()) {
            elsewhere.insert(*path.digest(), path);
        }
    }
    Ok(elsewhere)
}

/// Looks at what was sent, or lies here from before, which stays until the pin is dropped.
async fn examine(
    shared: &Shared,
    attempt: AttemptId,
    said: &ReportedOutput,
    candidates: &BTreeMap<[u8; 20], Item>,
    fixed: Option<FixedOutput>,
) -> Result<(Found, Pin), Rejected> {
    let lie = |what: &str| Rejected::Lie(Lie(format!("output {}: {what}", said.name)));
    let upload = upload_of(attempt, &said.file_hash).map_err(|wrong| lie(&wrong.message))?;
    let expected = parse_sha256("the file's hash", &said.file_hash);
    let expected = blob(expected.map_err(|wrong| lie(&wrong.message))?);
    let pin = shared.pins.pin(expected).await;
    let all = 0..u64::MAX;
    let uploaded = shared
        .artifacts
        .read(&Source::Upload(upload.clone()), all.clone())
        .await;
    let read = match uploaded {
        // It was sealed by an earlier try of the same report, or has the bytes of another output.
        // It may be gone as well, and that is not the agent's fault: a coordinator that was killed
        // between sealing and committing left a blob that nobody named, which was swept since. The
        // agent then sends it again.
        Err(ArtifactError::NotFound(_)) => {
            shared.artifacts.read(&Source::Blob(expected), all).await
        }
        read => read,
    };
    let body = match read {
        Ok(body) => body,
        Err(ArtifactError::NotFound(_)) => {
            let message = format!("output {} has not arrived", said.name);
            return Err(Refusal::new(Fault::Conflict, message).into());
        }
        Err(error) => return Err(artifact_refusal(error).into()),
    };
    let digests: Vec<[u8; 20]> = candidates.keys().copied().collect();
    let algo = fixed.filter(|fixed| !fixed.recursive || fixed.algo() != HashAlgo::Sha256);
    let most = said.nar_size;
    let found = if said.file_size <= SMALL_FILE && most <= SMALL_NAR {
        // Another thread would take longer to wake up.
        let file = first_bytes(body, said.file_size + 1).await;
        file.and_then(|file| read_small_nar(&file, digests, algo, most))
    } else {
        let place = shared.verifying.acquire().await;
        let reader = SyncIoBridge::new(StreamReader::new(body));
        let work = tokio::task::spawn_blocking(move || read_nar(reader, digests, algo, most));
        let found = work.await;
        drop(place);
        found.map_err(|error| {
            Refusal::new(Fault::Us, format!("reading an output failed: {error}"))
        })?
    };
    if found.is_err() {
        check_arrived(shared, upload, said).await?;
    }
    let found = found.map_err(|error| lie(&error.to_string()))?;
    Ok((found, pin))
}

/// Whether as much has arrived as was announced: what has not is no lie, and is sent again.
///
/// Counter-example: an output could not be sealed, for the disk failed, and is gone. The agent sends it again, which
/// breaks off in the middle for the same reason, and reports: it finds out from the refusal what is to be sent.
async fn check_arrived(
    shared: &Shared,
    upload: UploadId,
    said: &ReportedOutput,
) -> Result<(), Refusal> {
    let size = match shared.artifacts.size(&Source::Upload(upload)).await {
        // It is a blob already, and all of it.
        Err(ArtifactError::NotFound(_)) => return Ok(()),
        size => size.map_err(artifact_refusal)?,
    };
    if size >= said.file_size {
        return Ok(());
    }
    let (name, all) = (&said.name, said.file_size);
    let message = format!("{size} of {all} bytes of output {name} have arrived");
    Err(Refusal::new(Fault::Conflict, message))
}

/// What a body begins with; at most so many bytes.
async fn first_bytes(mut body: Body, most: u64) -> io::Result<Vec<u8>> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece?;
        let room = most - bytes.len();
        bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        if bytes.len() == most {
            break;
        }
    }
    Ok(bytes)
}

/// Hashes what goes by.
struct Hashed<R> {
    source: R,
    hash: Sha256,
    size: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.size += count as u64;
        Ok(count)
    }
}

/// What is computed of a nar, piece by piece.
struct Reading {
    nar_hash: Sha256,
    checker: nar::Decoder,
    scanner: refs::Scanner,
    fixed_hash: Option<(bool, Hasher)>,
    plain_file: bool,
    begun: bool,
}

impl Reading {
    fn new(digests: Vec<[u8; 20]>, fixed: Option<FixedOutput>) -> Self {
        Self {
            nar_hash: Sha256::new(),
            checker: nar::Decoder::new(),
            scanner: refs::Scanner::new(digests),
            fixed_hash: fixed.and_then(|fixed| Some((fixed.recursive, fixed.algo().hasher()?))),
            plain_file: false,
            begun: false,
        }
    }

    fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.nar_hash.update(bytes);
        self.scanner.push(bytes);
        if let Some((true, hasher)) = &mut self.fixed_hash {
            hasher.update(bytes);
        }
        while let Some(event) = self.checker.decode(&mut bytes).map_err(invalid)? {
            match event {
                nar::Event::Regular { executable, .. } if !self.begun => {
                    self.plain_file = !executable;
                }
                nar::Event::Data(data) if self.plain_file => {
                    if let Some((false, hasher)) = &mut self.fixed_hash {
                        hasher.update(data);
                    }
                }
                _ => {}
            }
            self.begun = true;
        }
        Ok(())
    }

    /// What it was; of its file, hash and size.
    fn finish(self, file_sha256: [u8; 32], file_size: u64) -> io::Result<Found> {
        let nar_size = self.checker.finish().map_err(invalid)?;
        let recursive = self.fixed_hash.as_ref();
        let recursive = recursive.is_some_and(|(recursive, _)| *recursive);
        Ok(Found {
            nar_sha256: self.nar_hash.finalize().into(),
            nar_size,
            file_sha256,
            file_size,
            references: self.scanner.into_found().into_iter().collect(),
            flat: self
                .fixed_hash
                .filter(|_| recursive || self.plain_file)
                .map(|(_, hasher)| hasher.finish()),
        })
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// A few bytes may be a compressed nar without end.
fn too_much(most: u64) -> io::Error {
    invalid(format!(
        "it has more bytes than the {most} that were announced"
    ))
}

fn read_nar(
    source: impl Read,
    digests: Vec<[u8; 20]>,
    fixed: Option<FixedOutput>,
    most: u64,
) -> io::Result<Found> {
    let hashed = Hashed {
        source,
        hash: Sha256::new(),
        size: 0,
    };
    let mut decoder = zstd::stream::read::Decoder::new(hashed)?;
    // What a compressor of a farm may use, and not more: a window is memory.
    decoder.window_log_max(WINDOW)?;
    let mut reading = Reading::new(digests, fixed);
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        let count = decoder.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        size += count as u64;
        if size > most {
            return Err(too_much(most));
        }
        reading.push(&buffer[..count])?;
    }
    let hashed = decoder.finish().into_inner();
    reading.finish(hashed.hash.finalize().into(), hashed.size)
}

/// Who decompresses an output has to remember at most so much of it: the logarithm to base 2 of the bytes.
const WINDOW: u32 = 27;

thread_local! {
    /// To make one takes several times as long as to decompress a small file.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The same of a file that is in memory, whose nar has at most `most` bytes, which are few.
fn read_small_nar(
    file: &[u8],
    digests: Vec<[u8; 20]>,
    fixed: Option<FixedOutput>,
    most: u64,
) -> io::Result<Found> {
    if !is_plain(file) {
        return read_nar(file, digests, fixed, most);
    }
    // One more, so that what is too long shows.
    let mut nar = Vec::with_capacity(usize::try_from(most).unwrap_or(BUFFER) + 1);
    let done = DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = match decompressor {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(file, &mut nar)
    });
    if done.is_err() || nar.len() as u64 > most {
        // What is wrong with it is said in the same words as of a large one.
        return read_nar(file, digests, fixed, most);
    }
    let mut reading = Reading::new(digests, fixed);
    reading.push(&nar)?;
    reading.finish(Sha256::digest(file).into(), file.len() as u64)
}

/// Whether a file is one frame of zstd that no reader refuses for what it would have to remember of it: at once it is
/// decompressed whatever its window, piece by piece it is not. RFC 8878, 3.1.1.1.
fn is_plain(file: &[u8]) -> bool {
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, next, ..] = file else {
        return false;
    };
    // With a single segment the window is the content, of which there is not much.
    let single = descriptor & 0b10_0000 != 0;
    let exponent = u32::from(next >> 3);
    let whole = zstd::zstd_safe::find_frame_compressed_size(file) == Ok(file.len());
    whole && (single || 10 + exponent < WINDOW)
}

fn compare(
    shared: &Shared,
    output: &grange_model::OutputRef,
    said: &ReportedOutput,
    found: &Found,
    candidates: &BTreeMap<[u8; 20], Item>,
    fixed: Option<FixedOutput>,
) -> Result<(), Rejected> {
    let lie = |what: String| Rejected::Lie(Lie(format!("output {}: {what}", said.name)));
    if hex(&found.file_sha256) != said.file_hash || found.file_size != said.file_size {
        return Err(lie(
            "the file that arrived is not the one that was announced".to_owned(),
        ));
    }
    if hex(&found.nar_sha256) != said.nar_hash {
        return Err(lie(format!(
            "its hash is {}, not {}",
            hex(&found.nar_sha256),
            said.nar_hash
        )));
    }
    if found.nar_size != said.nar_size {
        return Err(lie(format!(
            "it has {} bytes, not {}",
            found.nar_size, said.nar_size
        )));
    }
    let mut claimed = Vec::new();
    for path in &said.references {
        let path = parse_path(&shared.config, path).map_err(|wrong| lie(wrong.message))?;
        claimed.push(digest(&path).0);
    }
    claimed.sort_unstable();
    claimed.dedup();
    if claimed != found.references {
        let name = |digest: &[u8; 20]| candidates.get(digest).map_or("another", |item| &*item.name);
        let found: Vec<_> = found.references.iter().map(name).collect();
        return Err(lie(format!(
            "it refers to {found:?}, and that is not what was said"
        )));
    }
    let Some(fixed) = fixed else { return Ok(()) };
    let actual = if fixed.recursive && fixed.algo() == HashAlgo::Sha256 {
        Some(Hash::from_sha256(found.nar_sha256))
    } else {
        found.flat
    };
    if actual != Some(fixed.hash) {
        return Err(lie(format!(
            "{} must have the hash {}",
            output.item.name, fixed.hash
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(window: u32, content: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.window_log(window).unwrap();
        // In pieces: a frame whose size is known at once has no window of its own.
        for piece in content.chunks(7) {
            encoder.write_all(piece).unwrap();
            encoder.flush().unwrap();
        }
        encoder.finish().unwrap()
    }

    /// A string in a nar.
    fn string(word: &str) -> Vec<u8> {
        let mut bytes = (word.len() as u64).to_le_bytes().to_vec();
        bytes.extend(word.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn a_small_file_is_read_just_as_a_large_one() {
        let words = [
            "nix-archive-1",
            "(",
            "type",
            "regular",
            "contents",
            "an output",
            ")",
        ];
        let nar: Vec<u8> = words.iter().flat_map(|word| string(word)).collect();
        let read = |file: &[u8]| {
            let most = nar.len() as u64;
            let small = read_small_nar(file, Vec::new(), None, most);
            let large = read_nar(file, Vec::new(), None, most);
            assert_eq!(small.is_ok(), large.is_ok());
            small.is_ok()
        };
        assert!(read(&file(20, &nar)));
        assert!(read(&file(27, &nar)));
        assert!(!read(&file(28, &nar)));
        assert!(!read(b"no frame"));
        // A second frame, of nothing, whose window is too large.
        let two = [file(20, &nar), file(28, b"")].concat();
        read(&two);
        assert!(is_plain(&file(20, &nar)) && !is_plain(&two));
    }
}
