//! What never changes.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{StreamExt, TryStreamExt};
use grange_interfaces::{ArtifactError, ArtifactStore, Source};
use grange_model::BlobId;

use super::support::{all, blob, body, noise, put, read, upload};
use crate::conformance::ArtifactsBench;

/// "Makes the upload the blob of this name": it has all bytes, and the upload is gone.
pub async fn seal_makes_a_blob(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let bytes = noise(5_000);
    let source = Source::Blob(blob(&bytes));
    let missing = store.size(&source).await;
    assert!(
        matches!(missing, Err(ArtifactError::NotFound(_))),
        "{missing:?}"
    );
    put(&*store, "a", &bytes).await;
    assert_eq!(store.size(&source).await.expect("it answers"), 5_000);
    assert!(all(&*store, &source).await == bytes, "other bytes");
    assert_eq!(store.offset(&upload("a")).await.expect("it answers"), 0);
    let gone = store.size(&Source::Upload(upload("a"))).await;
    assert!(matches!(gone, Err(ArtifactError::NotFound(_))), "{gone:?}");
    // The name can be used again.
    put(&*store, "a", b"something else").await;
    assert!(all(&*store, &source).await == bytes, "the blob has changed");
}

/// "A blob has all of its bytes or does not exist", also while it is sealed.
pub async fn a_blob_is_there_as_a_whole(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let bytes = noise(300_000);
    let source = Source::Blob(blob(&bytes));
    let id = upload("a");
    let append = store.append(&id, 0, body(&bytes, 100_000));
    append.await.expect("it is appended");
    let seal = {
        let (store, blob) = (Arc::clone(&store), blob(&bytes));
        tokio::spawn(async move { store.seal(&id, blob).await })
    };
    loop {
        let ended = seal.is_finished();
        match store.size(&source).await {
            Ok(size) => {
                assert_eq!(size, bytes.len() as u64, "a part of a blob");
                assert!(all(&*store, &source).await == bytes, "other bytes");
                break;
            }
            Err(ArtifactError::NotFound(_)) if !ended => {
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let sealed = seal.await.expect("a seal does not panic");
    assert_eq!(sealed.expect("it is sealed"), bytes.len() as u64);
}

/// "`seal` is durable when it returns", as far as a test can see.
pub async fn seal_survives_its_process(bench: &impl ArtifactsBench) {
    let bytes = noise(5_000);
    let store = bench.open().await;
    let blob = put(&*store, "a", &bytes).await;
    drop(store);
    let store = bench.open().await;
    assert!(
        all(&*store, &Source::Blob(blob)).await == bytes,
        "other bytes"
    );
    assert_eq!(store.offset(&upload("a")).await.expect("it answers"), 0);
}

/// "It computes the hash itself and refuses bytes that do not match"; the upload stays.
pub async fn seal_refuses_other_bytes(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let (id, bytes) = (upload("a"), noise(5_000));
    let other = put(&*store, "b", b"other bytes").await;
    store
        .append(&id, 0, body(&bytes, 100))
        .await
        .expect("it is appended");
    for expected in [BlobId([7; 32]), other] {
        match store.seal(&id, expected).await {
            Err(ArtifactError::WrongHash {
                expected: said,
                actual,
            }) => {
                assert_eq!((said, actual), (expected, blob(&bytes)));
            }
            result => panic!("other bytes are sealed: {result:?}"),
        }
    }
    let missing = store.size(&Source::Blob(BlobId([7; 32]))).await;
    assert!(
        matches!(missing, Err(ArtifactError::NotFound(_))),
        "{missing:?}"
    );
    assert_eq!(all(&*store, &Source::Blob(other)).await, b"other bytes");
    assert_eq!(store.offset(&id).await.expect("it answers"), 5_000);
    store
        .append(&id, 5_000, body(b"more", 1))
        .await
        .expect("it goes on");
    let whole = [&bytes[..], b"more"].concat();
    store
        .seal(&id, blob(&whole))
        .await
        .expect("these are the bytes");
}

/// "Sealing what is sealed already succeeds, and the upload is gone."
pub async fn sealing_again_succeeds(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let bytes = noise(5_000);
    let blob = put(&*store, "a", &bytes).await;
    assert_eq!(
        store.seal(&upload("a"), blob).await.expect("it is sealed"),
        5_000
    );
    assert_eq!(
        store
            .seal(&upload("never-was"), blob)
            .await
            .expect("it is sealed"),
        5_000
    );
    put(&*store, "b", &bytes).await;
    assert_eq!(store.offset(&upload("b")).await.expect("it answers"), 0);
    assert!(
        all(&*store, &Source::Blob(blob)).await == bytes,
        "other bytes"
    );
}

/// Neither an upload nor a blob: there is nothing to seal.
pub async fn nothing_is_sealed_from_nothing(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    for expected in [blob(b""), BlobId([7; 32])] {
        let refused = store.seal(&upload("a"), expected).await;
        assert!(
            matches!(refused, Err(ArtifactError::NotFound(_))),
            "{refused:?}"
        );
    }
    assert_eq!(store.blobs().count().await, 0);
}

/// "0 makes a new one", also where no byte follows.
pub async fn an_empty_blob_is_a_blob(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let blob = put(&*store, "a", b"").await;
    assert_eq!(
        store.size(&Source::Blob(blob)).await.expect("it answers"),
        0
    );
    assert_eq!(all(&*store, &Source::Blob(blob)).await, b"");
}

/// "The bytes in `range`, which is cut to what is there."
pub async fn ranges_are_cut(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let bytes = noise(700_000);
    let blob = Source::Blob(put(&*store, "a", &bytes).await);
    let open = Source::Upload(upload("b"));
    store
        .append(&upload("b"), 0, body(&bytes, 5_000))
        .await
        .expect("it is appended");
    let ranges = [
        (0, 0),
        (0, 1),
        (0, 700_000),
        (1, 699_999),
        (262_143, 262_145),
        (524_288, u64::MAX),
        (699_999, 800_000),
        (700_000, 700_001),
        (900_000, 1_000_000),
        (u64::MAX, u64::MAX),
        (10, 5),
    ];
    for (start, end) in ranges {
        let cut = |place: u64| {
            usize::try_from(place)
                .unwrap_or(usize::MAX)
                .min(bytes.len())
        };
        let expected = bytes.get(cut(start)..cut(end)).unwrap_or_default();
        for source in [&blob, &open] {
            let found = read(&*store, source, start..end).await;
            assert!(
                found == expected,
                "{start}..{end} of {source:?} is {} bytes",
                found.len()
            );
        }
    }
}

/// "Never held whole": a body comes in pieces, and so it is given.
pub async fn large_bodies_stream(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let bytes = noise(5 << 20);
    let blob = blob(&bytes);
    let length = store
        .append(&upload("a"), 0, body(&bytes, 70_001))
        .await
        .expect("it is appended");
    assert_eq!(
        store.seal(&upload("a"), blob).await.expect("it is sealed"),
        length
    );
    let pieces = store
        .read(&Source::Blob(blob), 0..u64::MAX)
        .await
        .expect("it is read");
    let pieces: Vec<Bytes> = pieces.try_collect().await.expect("it is read to the end");
    assert!(
        pieces.iter().all(|piece| piece.len() <= 2 << 20),
        "a piece is too large"
    );
    assert!(pieces.concat() == bytes, "other bytes");
}

/// What is not there is `NotFound`, and an upload that is not there has no bytes.
pub async fn what_is_not_there_is_not_found(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    for source in [Source::Blob(BlobId([1; 32])), Source::Upload(upload("a"))] {
        let size = store.size(&source).await;
        assert!(matches!(size, Err(ArtifactError::NotFound(_))), "{size:?}");
        let read = store.read(&source, 0..1).await.map(drop);
        assert!(matches!(read, Err(ArtifactError::NotFound(_))), "{read:?}");
    }
    assert_eq!(store.offset(&upload("a")).await.expect("it answers"), 0);
}

/// "`delete` and `discard` of what does not exist succeed"; of what exists they remove it.
pub async fn delete_and_discard_are_for_good(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    store
        .delete(BlobId([1; 32]))
        .await
        .expect("nothing is to be done");
    store
        .discard(&upload("a"))
        .await
        .expect("nothing is to be done");
    let blob = put(&*store, "a", b"bytes").await;
    store.delete(blob).await.expect("it is deleted");
    store
        .append(&upload("a"), 0, body(b"bytes", 2))
        .await
        .expect("it is appended");
    store.discard(&upload("a")).await.expect("it is dropped");
    what_is_gone(&*store, blob).await;
    drop(store);
    let store = bench.open().await;
    what_is_gone(&*store, blob).await;
    put(&*store, "a", b"other").await;
}

async fn what_is_gone(store: &dyn ArtifactStore, blob: BlobId) {
    for source in [Source::Blob(blob), Source::Upload(upload("a"))] {
        let size = store.size(&source).await;
        assert!(matches!(size, Err(ArtifactError::NotFound(_))), "{size:?}");
    }
    assert_eq!(store.offset(&upload("a")).await.expect("it answers"), 0);
    assert_eq!(
        (store.blobs().count().await, store.uploads().count().await),
        (0, 0)
    );
}

/// "All blobs, in no order"; "all uploads, in no order".
pub async fn lists_are_complete(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let mut blobs = BTreeSet::new();
    let mut uploads = BTreeSet::new();
    for number in 0..40 {
        blobs.insert(put(&*store, "sealed", format!("bytes {number}").as_bytes()).await);
        let id = upload(&format!("open-{number}"));
        store
            .append(&id, 0, body(b"bytes", 9))
            .await
            .expect("it is appended");
        uploads.insert(id);
    }
    let found: Vec<_> = store.blobs().try_collect().await.expect("they are listed");
    assert_eq!(found.len(), blobs.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), blobs);
    let found: Vec<_> = store
        .uploads()
        .try_collect()
        .await
        .expect("they are listed");
    assert_eq!(found.len(), uploads.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), uploads);
}

/// "A file from `file` holds the blob's bytes and nothing else, and keeps them".
pub async fn a_file_is_its_blob(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let bytes = noise(5_000);
    let blob = put(&*store, "a", &bytes).await;
    let file = store.file(blob).await.expect("it is opened");
    store.delete(blob).await.expect("it is deleted");
    // A store without files has nothing to show.
    if let Some(mut file) = file {
        let mut read = Vec::new();
        file.read_to_end(&mut read).expect("it is read");
        assert!(read == bytes, "other bytes");
    }
    let gone = store.file(blob).await;
    assert!(matches!(gone, Err(ArtifactError::NotFound(_))), "{gone:?}");
}
