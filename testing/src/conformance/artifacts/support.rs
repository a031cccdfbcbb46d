//! Bytes, and how they get in and out.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use grange_interfaces::{ArtifactStore, Body, Source, UploadId, bytes_of};
use grange_model::BlobId;
use sha2::{Digest, Sha256};

pub(super) fn upload(name: &str) -> UploadId {
    UploadId::new(name).expect("the name of an upload")
}

/// Bytes that differ from place to place.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut word = 0x2545_f491_4f6c_dd1d_u64;
    (0..length)
        .map(|_| {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            (word >> 32) as u8
        })
        .collect()
}

pub(crate) fn body(bytes: &[u8], piece: usize) -> Body {
    let pieces: Vec<_> = bytes
        .chunks(piece)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    stream::iter(pieces).boxed()
}

pub(super) fn blob(bytes: &[u8]) -> BlobId {
    BlobId(Sha256::digest(bytes).into())
}

pub(super) async fn read(store: &dyn ArtifactStore, source: &Source, range: Range<u64>) -> Vec<u8> {
    let body = store.read(source, range).await.expect("it is read");
    bytes_of(body, 64 << 20)
        .await
        .expect("it is read to the end")
        .to_vec()
}

pub(super) async fn all(store: &dyn ArtifactStore, source: &Source) -> Vec<u8> {
    read(store, source, 0..u64::MAX).await
}

pub(super) async fn put(store: &dyn ArtifactStore, name: &str, bytes: &[u8]) -> BlobId {
    let (id, blob) = (upload(name), blob(bytes));
    let length = store
        .append(&id, 0, body(bytes, 1000))
        .await
        .expect("it is appended");
    assert_eq!(length, bytes.len() as u64);
    assert_eq!(store.seal(&id, blob).await.expect("it is sealed"), length);
    blob
}
