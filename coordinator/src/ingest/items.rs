//! Sources that clients send.
//!
//! A source's path follows from its content, so that nobody has to be trusted: whoever sends other
//! bytes has another path.

use std::io::{self, Read, Write};

use grange_coordinator_core::Input;
use grange_derivation::{Hash, HashAlgo, StorePath, nar, paths};
use grange_fail_points::{Point, reach};
use grange_interfaces::message::ItemUpload;
use grange_interfaces::{Body, Fault, Refusal, UploadId};
use grange_model::{ItemRecord, Record};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::stream::{BodyWriter, broke_off};
use crate::available::available;
use crate::convert::{
    artifact_refusal, blob, digest, hex, item, nar_hash, parse_path, store_refusal,
};
use crate::handle::Handle;
use crate::retain::Pin;
use crate::shared::Shared;

/// A source that is being received.
struct Incoming {
    path: StorePath,
    references: Vec<StorePath>,
    size: u64,
}

/// What was found while it was received.
struct Received {
    nar_sha256: [u8; 32],
    /// SHA-256 of the file's bytes, if it is a single file that is not executable.
    flat_sha256: Option<[u8; 32]>,
    compressed_sha256: [u8; 32],
    compressed_size: u64,
}

/// Takes the items of a body, references first.
pub(crate) async fn put_items(
    shared: &Shared,
    handle: &Handle,
    items: Vec<ItemUpload>,
    body: Body,
) -> Result<(), Refusal> {
    let mut incoming = Vec::new();
    for upload in items {
        let path = parse_path(&shared.config, &upload.path)?;
        let references = upload
            .references
            .iter()
            .map(|path| parse_path(&shared.config, path));
        let references = references.collect::<Result<Vec<_>, _>>()?;
        incoming.push(Incoming {
            path,
            references,
            size: upload.nar_size,
        });
    }
    // What is here stays here while this goes on, and what they refer to as well.
    let reliance = shared.relied.rely(named(&incoming)).await;
    check_references(shared, &incoming).await?;
    let mut reader = SyncIoBridge::new(StreamReader::new(body));
    let mut records = Vec::new();
    // Kept until the records are durable.
    let mut pins = Vec::new();
    for item in incoming {
        let (record, pin, back) = receive(shared, item, reader).await?;
        reader = back;
        records.push(Record::Item(record));
        pins.push(pin);
    }
    check_end(reader).await?;
    let records = absent(shared, records).await?;
    reach(Point::SourceSealed);
    handle
        .request(move |ticket| Input::Store { ticket, records })
        .await?;
    drop((pins, reliance));
    Ok(())
}

fn named(incoming: &[Incoming]) -> Vec<grange_model::Digest> {
    let paths = incoming
        .iter()
        .flat_map(|item| item.references.iter().chain([&item.path]));
    paths.map(digest).collect()
}

async fn check_references(shared: &Shared, incoming: &[Incoming]) -> Result<(), Refusal> {
    let mut known: std::collections::BTreeSet<_> = std::collections::BTreeSet::new();
    for item in incoming {
        let needed = item
            .references
            .iter()
            .filter(|path| **path != item.path && !known.contains(*path));
        let needed: Vec<_> = needed.collect();
        let digests: Vec<_> = needed.iter().map(|path| digest(path)).collect();
        let found = available(shared, &digests).await?;
        if let Some((path, _)) = needed
            .iter()
            .zip(&found)
            .find(|(_, record)| record.is_none())
        {
            return Err(Refusal::new(
                Fault::Caller,
                format!(
                    "{} refers to {path}, which has to be sent before it",
                    item.path
                ),
            ));
        }
        known.insert(item.path.clone());
    }
    Ok(())
}

async fn check_end(reader: Reader) -> Result<(), Refusal> {
    let mut body = reader.into_inner();
    match body.read(&mut [0]).await {
        Ok(0) => Ok(()),
        Ok(_) => Err(Refusal::new(
            Fault::Caller,
            "the body goes on behind the last item",
        )),
        Err(error) => Err(broke_off(&error)),
    }
}

/// Those that are not here: what is here stays the one that is served, with its deriver.
async fn absent(shared: &Shared, records: Vec<Record>) -> Result<Vec<Record>, Refusal> {
    let keys: Vec<_> = records.iter().map(Record::key).collect();
    let found = shared.datastore.get(&keys).await.map_err(store_refusal)?;
    let absent = records.into_iter().zip(found);
    Ok(absent
        .filter(|(_, found)| found.is_none())
        .map(|(record, _)| record)
        .collect())
}

type Reader = SyncIoBridge<StreamReader<Body, bytes::Bytes>>;

async fn receive(
    shared: &Shared,
    incoming: Incoming,
    reader: Reader,
) -> Result<(ItemRecord, Pin, Reader), Refusal> {
    let unique = uuid::Uuid::new_v4().simple();
    let upload = UploadId::new(format!("source-{}-{unique}", hex(incoming.path.digest())))
        .expect("base16 and a UUID make a name");
    let (writer, compressed) = BodyWriter::new();
    let size = incoming.size;
    let work = tokio::task::spawn_blocking(move || {
        let mut reader = reader;
        let received = compress(&mut reader, size, writer);
        (received, reader)
    });
    let appended = shared.artifacts.append(&upload, 0, compressed).await;
    let (received, reader) = work
        .await
        .map_err(|error| Refusal::new(Fault::Us, format!("receiving an item failed: {error}")))?;
    let result = async {
        appended.map_err(artifact_refusal)?;
        let received = received.map_err(|error| {
            Refusal::new(
                Fault::Caller,
                format!("the archive of {}: {error}", incoming.path),
            )
        })?;
        check_path(&incoming, &received)?;
        let blob = blob(received.compressed_sha256);
        let pin = shared.pins.pin(blob).await;
        shared
            .artifacts
            .seal(&upload, blob)
            .await
            .map_err(artifact_refusal)?;
        Ok((received, pin))
    };
    let (received, pin) = match result.await {
        Ok(received) => received,
        Err(refusal) => {
            // What was sent is of no use; if it cannot be deleted now, the next start does it.
            let _ = shared.artifacts.discard(&upload).await;
            return Err(refusal);
        }
    };
    let mut references: Vec<_> = incoming.references.iter().map(item).collect();
    references.sort();
    references.dedup();
    let record = ItemRecord {
        item: item(&incoming.path),
        store: incoming.path.store().as_str().to_owned(),
        nar_hash: nar_hash(received.nar_sha256),
        nar_size: size,
        references,
        deriver: None,
        blob: blob(received.compressed_sha256),
        blob_size: received.compressed_size,
    };
    Ok((record, pin, reader))
}

/// Reads one nar, checks it, and writes it compressed.
fn compress(reader: &mut impl Read, size: u64, writer: BodyWriter) -> io::Result<Received> {
    let mut check = Check::default();
    let mut encoder = zstd::stream::write::Encoder::new(Counted::new(writer), 3)?;
    let mut left = size;
    let mut buffer = vec![0; 128 * 1024];
    while left > 0 {
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = reader.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the body ends in the middle of it",
            ));
        }
        check.update(&buffer[..count])?;
        encoder.write_all(&buffer[..count])?;
        left -= count as u64;
    }
    let compressed = encoder.finish()?;
    let (nar_sha256, flat_sha256) = check.finish()?;
    Ok(Received {
        nar_sha256,
        flat_sha256,
        compressed_sha256: compressed.hash.finalize().into(),
        compressed_size: compressed.size,
    })
}

/// Hashes a nar, and the one file in it.
#[derive(Default)]
struct Check {
    decoder: nar::Decoder,
    nar: Sha256,
    file: Sha256,
    begun: bool,
    plain_file: bool,
}

impl Check {
    fn update(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.nar.update(bytes);
        while let Some(event) = self.decoder.decode(&mut bytes).map_err(invalid)? {
            match event {
                nar::Event::Regular { executable, .. } if !self.begun => {
                    self.plain_file = !executable
                }
                nar::Event::Data(data) if self.plain_file => self.file.update(data),
                _ => {}
            }
            self.begun = true;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<([u8; 32], Option<[u8; 32]>)> {
        self.decoder.finish().map_err(invalid)?;
        let flat = self.plain_file.then(|| self.file.finalize().into());
        Ok((self.nar.finalize().into(), flat))
    }
}

fn invalid(error: nar::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Hashes and counts what is written.
struct Counted {
    out: BodyWriter,
    hash: Sha256,
    size: u64,
}

impl Counted {
    fn new(out: BodyWriter) -> Self {
        Self {
            out,
            hash: Sha256::new(),
            size: 0,
        }
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether the path follows from the content: as a source, a text, or a file that is named by its
/// own hash.
fn check_path(incoming: &Incoming, received: &Received) -> Result<(), Refusal> {
    let path = &incoming.path;
    let (store, name) = (path.store(), path.name());
    let others = incoming
        .references
        .iter()
        .filter(|reference| *reference != path);
    let own = incoming.references.contains(path);
    let source = paths::source_path(store, name, others.clone(), own, &received.nar_sha256);
    let mut candidates = vec![source];
    if let Some(flat) = received.flat_sha256 {
        candidates.push(paths::text_path(store, name, others, &flat));
        if incoming.references.is_empty()
            && let Ok(hash) = Hash::new(HashAlgo::Sha256, &flat)
        {
            candidates.push(paths::fixed_output_path(store, name, false, &hash));
        }
    }
    if candidates
        .iter()
        .flatten()
        .any(|candidate| candidate == path)
    {
        return Ok(());
    }
    Err(Refusal::new(
        Fault::Caller,
        format!(
            "{path} does not follow from its content and references; only sources, texts and files named by their hash are taken"
        ),
    ))
}
