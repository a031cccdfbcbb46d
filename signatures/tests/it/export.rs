//! Export archives: read, written bit for bit, verified, refused.

use crate::data;
use grange_derivation::{StoreDir, StorePath, nar};
use grange_signatures::VerifyError;
use grange_signatures::export::{self, Decoder, END, Error, Event, ITEM, Item, Signing};
use proptest::prelude::*;

/// The items of an archive, each with its nar.
fn read(archive: &[u8], piece: usize) -> Result<Vec<(Vec<u8>, Item)>, Error> {
    let (mut decoder, mut items, mut nar) =
        (Decoder::new(StoreDir::guix()), Vec::new(), Vec::new());
    for mut input in archive.chunks(piece) {
        while let Some(event) = decoder.decode(&mut input)? {
            match event {
                Event::Nar(bytes) => {
                    assert!(!bytes.is_empty());
                    nar.extend_from_slice(bytes);
                }
                Event::Item(item) => items.push((std::mem::take(&mut nar), *item)),
            }
        }
        assert!(input.is_empty());
    }
    decoder.finish()?;
    assert_eq!(decoder.offset(), archive.len() as u64);
    Ok(items)
}

fn write(items: &[(Vec<u8>, Item)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (nar, item) in items {
        archive.extend(ITEM);
        let mut signing = Signing::new();
        for piece in nar.chunks(11) {
            signing.update(piece);
            archive.extend_from_slice(piece);
        }
        archive.extend(signing.finish(&item.trailer, &data::secret()));
    }
    archive.extend(END);
    archive
}

#[test]
fn guix_s_exports_are_read_and_written_bit_for_bit() {
    let mut several = false;
    for (name, archive) in data::files("guix/export") {
        let items = read(&archive, usize::MAX).unwrap();
        several |= items.len() > 2;
        for (nar, item) in &items {
            assert_eq!(item.verify(&data::trusted()), Ok(data::public()), "{name}");
            assert_eq!(item.nar_size, nar.len() as u64);
            assert_eq!(
                item.nar_sha256,
                grange_derivation::Hash::sha256(nar).to_sha256().unwrap()
            );
            let mut digest = nar::NarDigest::new();
            digest.update(nar).unwrap();
            digest.finish().unwrap();
        }
        assert_eq!(write(&items), archive, "{name}");
        for piece in [1, 7, 4096] {
            assert_eq!(read(&archive, piece).unwrap(), items, "{name}");
        }
    }
    assert!(several, "one archive has several items");
}

#[test]
fn what_it_says_is_what_the_daemon_says() {
    let lines = String::from_utf8(data::read("guix/items.jsonl")).unwrap();
    let mut seen = 0;
    for line in lines.lines() {
        let name = data::field(line, "name");
        let file = format!("guix/export/{name}.export");
        if !data::path(&file).exists() {
            continue;
        }
        let (_, item) = read(&data::read(&file), usize::MAX).unwrap().remove(0);
        assert_eq!(item.trailer.path.to_string(), data::field(line, "path"));
        let hash = grange_derivation::Hash::from_sha256(item.nar_sha256);
        assert!(
            line.contains(&hash.to_base32()) && line.contains(&hash.to_base16()),
            "{line}"
        );
        for path in item.trailer.references.iter().chain(&item.trailer.deriver) {
            assert!(line.contains(&path.to_string()), "{line}");
        }
        seen += 1;
    }
    assert!(seen > 10);
}

#[test]
fn an_item_without_signature_is_read_but_not_trusted() {
    let (nar, item) = single();
    let archive = [&ITEM[..], &nar, &item.trailer.unsigned(), &END].concat();
    let (_, read) = read(&archive, 5).unwrap().remove(0);
    assert_eq!(read.trailer, item.trailer);
    assert_eq!(read.signed_sha256, item.signed_sha256);
    assert_eq!(read.verify(&data::trusted()), Err(VerifyError::Unsigned));
}

#[test]
fn a_signature_of_another_item_does_not_hold() {
    let (nar, item) = single();
    let other = StorePath::parse_any("/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-other").unwrap();
    let trailer = export::Trailer {
        path: other,
        ..item.trailer.clone()
    };
    let mut unsigned = trailer.unsigned();
    unsigned.truncate(unsigned.len() - 8);
    let signature = item.signature.unwrap();
    let mut tail = 1u64.to_le_bytes().to_vec();
    tail.extend((signature.len() as u64).to_le_bytes());
    tail.extend(&signature);
    tail.resize(tail.len().next_multiple_of(8), 0);
    let archive = [&ITEM[..], &nar, &unsigned, &tail, &END].concat();
    let (_, read) = read(&archive, usize::MAX).unwrap().remove(0);
    assert!(matches!(
        read.verify(&data::trusted()),
        Err(VerifyError::Guix(_))
    ));
}

#[test]
fn hostile_archives_are_refused() {
    let (nar, item) = single();
    let tail = item.trailer.unsigned();
    let with = |tail: &[u8]| read(&[&ITEM[..], &nar, tail, &END].concat(), 9).unwrap_err();
    let replace = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = tail
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        let mut tail = tail.clone();
        tail[at..at + to.len()].copy_from_slice(to.as_bytes());
        with(&tail)
    };
    assert!(matches!(
        replace("/gnu/store", "/nix/store"),
        Error::Path { what: "path", .. }
    ));
    assert!(matches!(
        replace("/gnu/store/", "/gnu/store."),
        Error::Path { .. }
    ));
    assert!(matches!(replace("-single", "/../../"), Error::Path { .. }));
    assert!(matches!(replace("NIXE", "NIXF"), Error::Expected { .. }));
    // A path, a list of references and a deriver that would fill the memory.
    let path = item.trailer.path.to_string().len().next_multiple_of(8);
    for at in [8, 16 + path, 24 + path] {
        let mut tail = tail.clone();
        tail[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(with(&tail), Error::TooLong { .. }), "{at}");
    }
    let mut padding = tail.clone();
    padding[15 + path] = 1;
    assert!(matches!(with(&padding), Error::Padding { .. }));
    let mut archive = [&ITEM[..], &nar, &tail, &END].concat();
    archive.push(0);
    assert!(matches!(read(&archive, 9), Err(Error::Trailing { .. })));
    archive[8] ^= 1;
    assert!(matches!(
        read(&archive, 9),
        Err(Error::Nar { start: 8, .. })
    ));
    archive[0] = 2;
    assert!(matches!(
        read(&archive, 9),
        Err(Error::Expected { offset: 0, .. })
    ));

    let (nar, item) = refs();
    let tail = item.trailer.unsigned();
    let reference = item.trailer.references.first().unwrap().to_string();
    let at = tail
        .windows(reference.len())
        .position(|w| w == reference.as_bytes())
        .unwrap();
    let end = at + reference.len().next_multiple_of(8);
    let mut twice = [&tail[..end], &tail[at - 8..]].concat();
    twice[at - 16] = 2;
    let error = read(&[&ITEM[..], &nar, &twice, &END].concat(), 9).unwrap_err();
    assert!(matches!(error, Error::Duplicate { .. }), "{error:?}");
}

#[test]
fn an_archive_that_ends_too_early_says_where() {
    let archive = data::read("guix/export/refs-allowed.export");
    for length in 0..archive.len() {
        match read(&archive[..length], usize::MAX) {
            Err(Error::Truncated { offset, .. }) => assert_eq!(offset, length as u64),
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn any_byte_changed_is_refused() {
    let archive = data::read("guix/export/refs-allowed.export");
    let original = read(&archive, usize::MAX).unwrap();
    let start = archive.len()
        - 8
        - original[0]
            .1
            .signature
            .as_ref()
            .unwrap()
            .len()
            .next_multiple_of(8);
    for at in (0..start).chain((start..archive.len()).step_by(5)) {
        let mut changed = archive.clone();
        changed[at] ^= 1;
        let Ok(items) = read(&changed, usize::MAX) else {
            continue;
        };
        for (_, item) in items {
            // White space within the signature may become other white space, nothing else.
            let verified = item.verify(&data::trusted()).is_ok();
            assert!(
                !verified || (at >= start && item.trailer == original[0].1.trailer),
                "byte {at}"
            );
        }
    }
}

fn single() -> (Vec<u8>, Item) {
    read(&data::read("guix/export/single.export"), usize::MAX)
        .unwrap()
        .remove(0)
}

fn refs() -> (Vec<u8>, Item) {
    read(&data::read("guix/export/refs-allowed.export"), usize::MAX)
        .unwrap()
        .remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1usize..50) {
        let bytes = [&ITEM[..], &bytes].concat();
        prop_assert!(read(&bytes, piece).is_err());
    }

    #[test]
    fn any_trailer_survives(
        digests in proptest::collection::btree_set(any::<[u8; 20]>(), 1..20),
        deriver: bool,
        piece in 1usize..300,
    ) {
        let store = StoreDir::guix();
        let paths: Vec<_> = digests.iter().map(|d| StorePath::new(&store, *d, "x").unwrap()).collect();
        let trailer = export::Trailer {
            path: paths[0].clone(),
            references: paths[1..].iter().cloned().collect(),
            deriver: deriver.then(|| StorePath::new(&store, [1; 20], "x.drv").unwrap()),
        };
        let (nar, _) = single();
        let mut signing = Signing::new();
        signing.update(&nar);
        let tail = signing.finish(&trailer, &data::secret());
        let archive = [&ITEM[..], &nar, &tail, &END].concat();
        let (_, item) = read(&archive, piece).unwrap().remove(0);
        prop_assert_eq!(item.verify(&data::trusted()), Ok(data::public()));
        prop_assert_eq!(item.trailer, trailer);
    }
}
