//! The formats of Guix and Nix, and our own.

use std::io::Read;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use grange_derivation::nar::{Decoder, Encoder, Event};
use grange_derivation::{Derivation, Hash, StoreDir, StorePath, base32 as nixbase32, nar as nars};
use grange_interfaces::{Frames, frame};
use grange_model::{Batch, BlobId, NumberedFact, Record, decode, encode};
use grange_replay::Graph;
use grange_signatures::narinfo::Compression;
use grange_transport_http::{decode_message, decode_reply, encode_message, encode_reply};
use grange_upstream::Decoder as Decompressor;

/// More than this nothing has to be decompressed to.
const MADE: usize = 8 << 20;

pub(crate) fn base32(bytes: &[u8]) {
    if let Ok(digest) = nixbase32::decode_digest(bytes) {
        assert_eq!(nixbase32::encode_digest(&digest).as_slice(), bytes);
    }
    for length in [0, 1, 16, 20, 32, 64] {
        if let Ok(read) = nixbase32::decode(bytes, length) {
            assert_eq!(nixbase32::encode(&read).as_bytes(), bytes);
        }
    }
    assert_eq!(
        nixbase32::decode(nixbase32::encode(bytes), bytes.len()).as_deref(),
        Ok(bytes)
    );
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(hash) = Hash::parse_any(text)
    {
        assert_eq!(Hash::parse_any(&hash.to_sri()).as_ref(), Ok(&hash));
    }
}

pub(crate) fn store_path(bytes: &[u8]) {
    for store in [StoreDir::guix(), StoreDir::nix()] {
        if let Ok(path) = StorePath::parse(&store, bytes) {
            assert_eq!(path.to_string().as_bytes(), bytes);
        }
        let _ = StorePath::parse_inside(&store, bytes);
    }
    if let Ok(path) = StorePath::parse_any(bytes) {
        assert_eq!(path.to_string().as_bytes(), bytes);
        let base = path.base_name();
        assert_eq!(StorePath::from_base_name(path.store(), &base), Ok(path));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = StoreDir::new(text);
    }
}

/// What is read prints as it was, and follows from itself.
pub(crate) fn derivation(bytes: &[u8]) {
    for store in [StoreDir::guix(), StoreDir::nix()] {
        let Ok(derivation) = Derivation::parse(&store, "fuzzed", bytes) else {
            continue;
        };
        let printed = derivation.print();
        let again = Derivation::parse(&store, "fuzzed", &printed);
        assert_eq!(again.as_ref(), Ok(&derivation), "what is printed is read");
        let _ = (derivation.path(), derivation.references());
        if let Ok(options) = derivation.options() {
            let _ = format!("{options:?}");
        }
    }
}

/// Cut anywhere, a nar is the same, and its parts make it again.
pub(crate) fn nar(bytes: &[u8]) {
    let (whole, ended) = parts(&[bytes]);
    let (front, back) = bytes.split_at(bytes.len() / 3);
    let (cut, cut_ended) = parts(&[front, back]);
    assert_eq!(ended, cut_ended, "a cut changes what it is");
    if ended {
        assert_eq!(whole, bytes, "the parts of a nar make it");
        assert_eq!(cut, bytes, "the parts of a nar make it");
    }
    let listed = nars::list(&mut &*bytes);
    assert_eq!(listed.is_ok(), ended, "a list is of a whole nar");
    let mut digest = nars::NarDigest::new();
    let digested = digest.update(bytes).and_then(|()| digest.finish());
    assert_eq!(digested.is_ok(), ended, "a digest is of a whole nar");
}

/// What the pieces are made of, encoded anew; whether they were a whole nar.
fn parts(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
    let mut decoder = Decoder::new();
    let mut encoder = Encoder::new(Vec::new());
    let mut any = false;
    for piece in pieces {
        let mut input = *piece;
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(event)) => {
                    let again = encoder.event(event);
                    assert!(again.is_ok(), "{event:?} is encoded: {again:?}");
                    any |= event != Event::EndDirectory;
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty(), "an error says something");
                    return (Vec::new(), false);
                }
            }
        }
    }
    if decoder.finish().is_err() {
        return (Vec::new(), false);
    }
    assert!(any, "a nar of nothing");
    let (made, size) = encoder.finish().expect("it is in memory, and whole");
    assert_eq!(made.len() as u64, size);
    (made, true)
}

/// What is unpacked is packed as it was.
pub(crate) fn unpack(bytes: &[u8]) {
    let whole = nars::list(&mut &*bytes).is_ok();
    let directory = Scratch::new();
    let unpacked = nars::unpack(&mut &*bytes, &directory.0);
    if unpacked.is_ok() {
        assert!(whole, "only a whole nar is unpacked");
        let mut packed = Vec::new();
        let size = nars::pack(&directory.0, &mut packed).expect("what was just unpacked is there");
        assert_eq!((packed.as_slice(), size), (bytes, bytes.len() as u64));
    }
}

/// A place that is not there yet, and goes with this.
pub(crate) struct Scratch(std::path::PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(format!("grange-fuzz-{process}-{number}")))
    }

    /// Makes it a directory.
    pub(crate) fn directory() -> Self {
        let scratch = Self::new();
        std::fs::create_dir(&scratch.0).expect("nobody else has it");
        scratch
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let removed = match self.0.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(&self.0),
            Ok(_) => std::fs::remove_file(&self.0),
            Err(_) => Ok(()),
        };
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

/// Older versions too; what is read is written and read again.
pub(crate) fn record(bytes: &[u8]) {
    if let Ok(record) = decode::<Record>(bytes) {
        let written = encode(&record).expect("what was read can be written");
        assert_eq!(decode::<Record>(&written).as_ref(), Ok(&record));
    }
    if let Ok(batch) = decode::<Batch>(bytes) {
        let written = encode(&batch).expect("what was read can be written");
        assert_eq!(decode::<Batch>(&written).as_ref(), Ok(&batch));
    }
    let _ = decode::<NumberedFact>(bytes);
    let _ = decode::<Vec<NumberedFact>>(bytes);
    let _ = decode::<BlobId>(bytes);
}

pub(crate) fn message(bytes: &[u8]) {
    if let Ok(message) = decode_message(bytes) {
        let again = decode_message(&encode_message(&message));
        assert_eq!(again.as_ref(), Ok(&message));
    }
    if let Ok(reply) = decode_reply(bytes) {
        let line = encode_reply(reply.as_ref());
        let again = decode_reply(&line).expect("what was written is read");
        assert_eq!(again, reply);
    }
}

/// Cut anywhere, a body has the same derivations, and they make it again.
pub(crate) fn frames(bytes: &[u8]) {
    let (front, back) = bytes.split_at(bytes.len() / 2);
    let (all, whole) = framed(&[bytes]);
    assert_eq!(framed(&[front, back]), (all.clone(), whole));
    assert!(bytes.starts_with(&all), "what is read is what was sent");
    assert!(!whole || all == bytes, "what is read is all that was sent");
}

/// The derivations of a body, framed anew; whether it ended where one ends.
fn framed(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
    let pieces = pieces.iter().map(|it| Ok(Bytes::copy_from_slice(it)));
    let body = stream::iter(pieces.collect::<Vec<_>>()).boxed();
    let mut frames = Frames::new(body, 512);
    let mut all = Vec::new();
    loop {
        let next = frames.next().now_or_never();
        match next.expect("all of the body is there") {
            Ok(Some((path, text))) => {
                let (path, text) = (path.as_ref(), text.as_ref());
                let Ok(path) = std::str::from_utf8(path) else {
                    return (all, false);
                };
                let again = frame(path, text).expect("it is shorter than four GiB");
                all.extend_from_slice(&again);
            }
            Ok(None) => return (all, true),
            Err(_) => return (all, false),
        }
    }
}

/// The first byte says how; the pieces that come are small, whatever the whole would be.
pub(crate) fn decompress(bytes: &[u8]) {
    let Some((kind, file)) = bytes.split_first() else {
        return;
    };
    let compression = match kind % 5 {
        0 => Compression::Gzip,
        1 => Compression::Lzip,
        2 => Compression::Xz,
        3 => Compression::Zstd,
        _ => Compression::None,
    };
    let mut decoder = Decompressor::new(&compression)
        .expect("there is memory for a decoder")
        .expect("it is one that is read");
    let mut made = 0;
    let (front, back) = file.split_at(file.len() / 2);
    for piece in [front, back] {
        decoder.feed(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next() {
                Ok(Some(piece)) => {
                    assert!(piece.len() <= 4 << 20, "a piece of {} bytes", piece.len());
                    made += piece.len();
                }
                Ok(None) => break,
                Err(_) => return,
            }
            if made > MADE {
                return;
            }
        }
    }
    if compression == Compression::Zstd && made <= MADE {
        let mut all = Vec::new();
        let limited = zstd::Decoder::new(file).map(|it| it.take(MADE as u64 + 1));
        if let Ok(mut limited) = limited
            && limited.read_to_end(&mut all).is_ok()
        {
            assert_eq!(all.len(), made, "others make the same of it");
        }
    }
}

/// What is printed is read as it was.
pub(crate) fn graph(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Graph::read(text) {
        Ok(graph) => {
            let again = Graph::read(&graph.print());
            assert_eq!(again.expect("what is printed is read"), graph);
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an error says something"),
    }
}
