//! Guix's own nars, bit for bit, both ways.

use crate::fixtures::{path, read};
use grange_derivation::nar::{self, Decoder, Encoder, Event, Kind, NarDigest};
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) fn items() -> Vec<(String, Vec<u8>, Value)> {
    let lines = String::from_utf8(read("nar-vectors/items.jsonl")).unwrap();
    let items = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    items
        .map(|item: Value| {
            let name = item["name"].as_str().unwrap().to_owned();
            (name.clone(), read(&format!("nar-vectors/{name}.nar")), item)
        })
        .collect()
}

/// Decodes in pieces, and encodes again what was decoded.
pub(crate) fn recode(bytes: &[u8], piece: usize) -> Result<Vec<u8>, nar::Error> {
    let (mut decoder, mut encoder) = (Decoder::new(), Encoder::new(Vec::new()));
    for mut piece in bytes.chunks(piece) {
        while let Some(event) = decoder.decode(&mut piece)? {
            encoder.event(event).unwrap();
        }
        assert!(piece.is_empty());
    }
    assert_eq!(decoder.finish()?, bytes.len() as u64);
    Ok(encoder.finish().unwrap().0)
}

#[test]
fn decoded_and_encoded_they_are_the_same() {
    assert_eq!(
        items().len(),
        std::fs::read_dir(path("nar-vectors")).unwrap().count() - 2
    );
    for (name, bytes, _) in items() {
        for piece in [1, 2, 7, 8, 9, 16, 17, 100, 4096, usize::MAX] {
            assert!(
                recode(&bytes, piece).unwrap() == bytes,
                "{name} in pieces of {piece}"
            );
        }
    }
}

#[test]
fn hashes_and_sizes_are_guixs() {
    for (name, bytes, item) in items() {
        let mut digest = NarDigest::new();
        for piece in bytes.chunks(13) {
            assert!(!digest.is_complete());
            digest.update(piece).unwrap();
        }
        assert!(digest.is_complete());
        let digested = digest.finish().unwrap();
        assert_eq!(
            digested.hash().to_base32(),
            item["nar_sha256_base32"].as_str().unwrap(),
            "{name}"
        );
        assert_eq!(digested.size, item["nar_size"].as_u64().unwrap(), "{name}");
    }
}

#[test]
fn unpacked_and_packed_they_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes, item) in items() {
        let to = directory.path().join(&name);
        assert_eq!(
            nar::unpack(&mut bytes.as_slice(), &to).unwrap(),
            bytes.len() as u64
        );
        let mut packed = Vec::new();
        assert_eq!(nar::pack(&to, &mut packed).unwrap(), bytes.len() as u64);
        assert!(packed == bytes, "{name}");
        let digested = nar::digest_path(&to).unwrap();
        assert_eq!(
            digested.hash().to_base32(),
            item["nar_sha256_base32"].as_str().unwrap(),
            "{name}"
        );
    }
}

/// The files that Guix made most of the nars from, unpacked by another tool.
#[test]
fn files_from_a_tar_give_guixs_nars() {
    let directory = tempfile::tempdir().unwrap();
    let mut tar = std::process::Command::new("tar");
    tar.arg("-xf")
        .arg(path("nar-vectors/source.tar"))
        .arg("-C")
        .arg(directory.path());
    assert!(
        tar.status()
            .expect("tar is part of every system that this is built on")
            .success()
    );
    let mut seen = 0;
    for (name, bytes, _) in items() {
        let from = directory.path().join(&name);
        if !from.exists() {
            continue;
        }
        let mut packed = Vec::new();
        nar::pack(&from, &mut packed).unwrap();
        assert!(packed == bytes, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 10);
}

#[test]
fn listing_says_where_contents_are() {
    let bytes = read("nar-vectors/names.nar");
    let entries = nar::list(&mut bytes.as_slice()).unwrap();
    let by_path: BTreeMap<_, _> = entries
        .iter()
        .map(|entry| (entry.path.as_slice(), &entry.kind))
        .collect();
    assert_eq!(by_path.len(), entries.len());
    assert_eq!(by_path[b"".as_slice()], &Kind::Directory);
    assert_eq!(
        by_path[b"bin/link".as_slice()],
        &Kind::Symlink {
            target: b"run".to_vec()
        }
    );
    assert_eq!(
        by_path[b"a.d/z".as_slice()],
        &Kind::Regular {
            executable: false,
            size: 1,
            offset: offset(&entries, b"a.d/z")
        }
    );
    let Kind::Regular {
        executable,
        size,
        offset,
    } = *by_path[b"bin/run".as_slice()]
    else {
        panic!("bin/run is a file")
    };
    assert!(executable);
    let start = usize::try_from(offset).unwrap();
    assert!(
        bytes[start..].starts_with(b"#!/bin/sh"),
        "{:?}",
        bytes[start..start + 18].escape_ascii().to_string()
    );
    assert_eq!(size, 18);
    assert!(by_path.contains_key("\u{fc}n\u{ef}code-\u{3bb}".as_bytes()));
    assert!(nar::list(&mut &bytes[..bytes.len() - 1]).is_err());
}

fn offset(entries: &[nar::Entry], path: &[u8]) -> u64 {
    match entries
        .iter()
        .find(|entry| entry.path == path)
        .map(|entry| &entry.kind)
    {
        Some(Kind::Regular { offset, .. }) => *offset,
        other => panic!("{other:?}"),
    }
}

/// A stream without a length is read to the nar's end and no further.
#[test]
fn a_decoder_stops_where_the_nar_ends() {
    let mut bytes = read("nar-vectors/tree.nar");
    let size = bytes.len();
    bytes.extend_from_slice(b"more");
    let (mut decoder, mut input) = (Decoder::new(), bytes.as_slice());
    let mut events = 0;
    while !decoder.is_complete() {
        assert!(
            decoder
                .decode(&mut input)
                .unwrap()
                .is_some_and(|event| event != Event::Data(b""))
        );
        events += 1;
    }
    assert!(events > 20);
    assert_eq!((input, decoder.offset()), (b"more".as_slice(), size as u64));
    assert_eq!(
        decoder.decode(&mut input),
        Err(nar::Error::Trailing {
            offset: size as u64
        })
    );
}
