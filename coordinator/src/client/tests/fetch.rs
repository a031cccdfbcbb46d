use std::fs;

use bytes::Bytes;
use grange_derivation::nar::{Encoder, NarDigest};
use grange_derivation::{Hash, StorePath};
use grange_interfaces::Fault;
use grange_interfaces::message::{Answer, ItemView, Message};

use super::fake::{client, pieces};
use crate::client::{Client, ClientError};

const PATH: &str = "/gnu/store/00000000000000000000000000000000-hello";

fn item() -> (ItemView, Vec<u8>) {
    let mut encoder = Encoder::new(Vec::new());
    encoder.directory().unwrap();
    encoder.entry(b"greeting").unwrap();
    encoder.regular(false, 5).unwrap();
    encoder.data(b"hello").unwrap();
    encoder.end_directory().unwrap();
    let (nar, _) = encoder.finish().unwrap();
    let mut digest = NarDigest::new();
    digest.update(&nar).unwrap();
    let digested = digest.finish().unwrap();
    let file = zstd::encode_all(nar.as_slice(), 3).unwrap();
    let view = ItemView {
        path: PATH.into(),
        nar_hash: digested.hash().to_base16(),
        nar_size: digested.size,
        references: vec![],
        deriver: None,
        file_size: file.len() as u64,
        file_hash: Hash::sha256(&file).to_base16(),
        upstream: false,
    };
    (view, file)
}

/// A coordinator whose connection breaks after every 20 bytes.
fn shaky(view: ItemView, file: Vec<u8>) -> Client {
    client(move |message, _| match message {
        Message::FetchItem { offset, .. } => {
            let rest = Bytes::copy_from_slice(&file[usize::try_from(offset).unwrap()..]);
            let first = &rest[..rest.len().min(20)];
            Ok((Answer::Item(view.clone()), Some(pieces(&[first, b""]))))
        }
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn an_item_is_taken_up_where_it_broke_and_unpacked() {
    let directory = tempfile::tempdir().unwrap();
    let (view, file) = item();
    let place = directory.path().join("hello");
    let fetched = shaky(view.clone(), file.clone())
        .fetch(&StorePath::parse_any(PATH).unwrap(), &place)
        .await;
    assert_eq!(fetched.unwrap(), view);
    assert_eq!(fs::read(place.join("greeting")).unwrap(), b"hello");
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        1,
        "nothing temporary is left"
    );

    let again = shaky(view, file)
        .fetch(&StorePath::parse_any(PATH).unwrap(), &place)
        .await
        .unwrap_err();
    assert_eq!(
        again.fault(),
        Fault::Operator,
        "what is there is not overwritten: {again}"
    );
}

#[tokio::test]
async fn what_is_not_as_announced_is_not_kept() {
    type Lie = fn(&mut ItemView, &mut Vec<u8>);
    let lies: [(&str, Lie); 4] = [
        ("another file", |view, _| {
            view.file_hash = Hash::sha256(b"").to_base16()
        }),
        ("another nar", |view, _| {
            view.nar_hash = Hash::sha256(b"").to_base16()
        }),
        ("another size", |view, _| view.nar_size += 8),
        ("no nar at all", |view, file| {
            *file = zstd::encode_all(b"no nar".as_slice(), 3).unwrap();
            view.file_size = file.len() as u64;
        }),
    ];
    for (name, lie) in lies {
        let directory = tempfile::tempdir().unwrap();
        let (mut view, mut file) = item();
        lie(&mut view, &mut file);
        let place = directory.path().join("hello");
        let error = shaky(view, file)
            .fetch(&StorePath::parse_any(PATH).unwrap(), &place)
            .await
            .unwrap_err();
        assert!(
            matches!(error, ClientError::Mismatch { .. }),
            "{name}: {error}"
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "{name}");
    }
}
