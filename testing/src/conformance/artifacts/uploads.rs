//! What grows.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::future::join;
use futures::stream::{self, StreamExt};
use grange_interfaces::{ArtifactError, ArtifactStore, Body, Source, UploadId, empty_body};

use super::support::{all, blob, body, noise, upload};
use crate::conformance::ArtifactsBench;

/// "`append` returns the new length."
pub async fn append_returns_the_length(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let (id, bytes) = (upload("a"), noise(10_000));
    assert_eq!(store.offset(&id).await.expect("it answers"), 0);
    let mut offset = 0;
    for part in bytes.chunks(3_333) {
        let length = store
            .append(&id, offset, body(part, 100))
            .await
            .expect("it is appended");
        offset += part.len() as u64;
        assert_eq!(length, offset);
        assert_eq!(store.offset(&id).await.expect("it answers"), offset);
        assert_eq!(
            store
                .size(&Source::Upload(id.clone()))
                .await
                .expect("it answers"),
            offset
        );
        assert_eq!(
            store
                .append(&id, offset, empty_body())
                .await
                .expect("it is appended"),
            offset
        );
    }
    assert!(
        all(&*store, &Source::Upload(id)).await == bytes,
        "other bytes than were appended"
    );
}

/// An append begins where the upload ends, and nowhere else.
pub async fn append_begins_where_the_upload_ends(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let id = upload("a.b-c");
    let wrong = async |asked: u64, actual: u64| {
        match store.append(&id, asked, body(b"xyz", 1)).await {
            Err(ArtifactError::WrongOffset {
                asked: said,
                actual: is,
            }) => {
                assert_eq!((said, is), (asked, actual));
            }
            other => panic!("{asked} instead of {actual}: {other:?}"),
        }
        assert_eq!(store.offset(&id).await.expect("it answers"), actual);
    };
    wrong(1, 0).await;
    store
        .append(&id, 0, body(b"hello", 2))
        .await
        .expect("it is appended");
    for offset in [0, 1, 4, 6, u64::MAX] {
        wrong(offset, 5).await;
    }
    assert_eq!(all(&*store, &Source::Upload(id.clone())).await, b"hello");
}

/// "Appends to one upload never run at once …, and none is mixed into another."
pub async fn appends_are_never_mixed(bench: &impl ArtifactsBench) {
    const PIECES: usize = 50;
    let store = bench.open().await;
    for round in 0..10 {
        let id = upload(&format!("round-{round}"));
        let slow = |byte: u8| -> Body {
            let piece = move |_| async move {
                tokio::task::yield_now().await;
                Ok(Bytes::from(vec![byte; 1_000]))
            };
            stream::iter(0..PIECES).then(piece).boxed()
        };
        let [first, second] = [b'a', b'b'].map(|byte| {
            let (store, id, body) = (Arc::clone(&store), id.clone(), slow(byte));
            tokio::spawn(async move { store.append(&id, 0, body).await })
        });
        let (first, second) = join(first, second).await;
        let results = [first, second].map(|result| result.expect("an append does not panic"));
        let done = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(done, 1, "both began at 0: {results:?}");
        let bytes = all(&*store, &Source::Upload(id)).await;
        assert_eq!(bytes.len(), PIECES * 1_000);
        assert!(
            bytes.iter().all(|byte| *byte == bytes[0]),
            "two bodies in one upload"
        );
    }
}

/// "An append that is cut off keeps a prefix of its body": here the body says so.
pub async fn a_body_that_breaks_off_leaves_a_prefix(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let (id, bytes) = (upload("a"), noise(40_000));
    let broken = io::Error::new(io::ErrorKind::ConnectionReset, "gone");
    let cut = body(&bytes[..30_000], 1_000)
        .chain(stream::iter([Err(broken)]))
        .boxed();
    match store.append(&id, 0, cut).await {
        Err(ArtifactError::Body(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        other => panic!("the body broke off: {other:?}"),
    }
    go_on(&*store, &id, &bytes, 30_000).await;
}

/// The same, where the caller goes away.
pub async fn an_append_that_is_given_up_leaves_a_prefix(bench: &impl ArtifactsBench) {
    let store = bench.open().await;
    let (id, bytes) = (upload("a"), noise(40_000));
    let (mut sender, receiver) = mpsc::channel::<io::Result<Bytes>>(0);
    let append = {
        let (store, id) = (Arc::clone(&store), id.clone());
        tokio::spawn(async move { store.append(&id, 0, receiver.boxed()).await })
    };
    for piece in bytes[..30_000].chunks(10_000) {
        let piece = Bytes::copy_from_slice(piece);
        futures::SinkExt::send(&mut sender, Ok(piece))
            .await
            .expect("the body is taken");
    }
    append.abort();
    assert!(append.await.is_err(), "it waits for more");
    go_on(&*store, &id, &bytes, 30_000).await;
}

/// The upload has a prefix of what was sent, and takes the rest.
async fn go_on(store: &dyn ArtifactStore, id: &UploadId, bytes: &[u8], sent: usize) {
    // Whoever gave up may still be writing: an append waits for that, and says how far it came.
    let offset = match store.append(id, u64::MAX, empty_body()).await {
        Err(ArtifactError::WrongOffset { actual, .. }) => actual,
        other => panic!("that is not where the upload ends: {other:?}"),
    };
    assert_eq!(store.offset(id).await.expect("it answers"), offset);
    let offset = usize::try_from(offset).expect("it is short");
    assert!(offset <= sent, "more than was sent");
    if offset > 0 {
        let kept = all(store, &Source::Upload(id.clone())).await;
        assert!(kept == bytes[..offset], "what is kept is no prefix");
    }
    let rest = body(&bytes[offset..], 777);
    let length = store
        .append(id, offset as u64, rest)
        .await
        .expect("it goes on");
    assert_eq!(length, bytes.len() as u64);
    store
        .seal(id, blob(bytes))
        .await
        .expect("it is what was sent");
}

/// "What it acknowledged survives a crash of the process."
pub async fn an_upload_survives_its_process(bench: &impl ArtifactsBench) {
    let (id, bytes) = (upload("a"), noise(5_000));
    let store = bench.open().await;
    store
        .append(&id, 0, body(&bytes[..2_000], 100))
        .await
        .expect("it is appended");
    drop(store);
    let store = bench.open().await;
    assert_eq!(store.offset(&id).await.expect("it answers"), 2_000);
    store
        .append(&id, 2_000, body(&bytes[2_000..], 100))
        .await
        .expect("it is appended");
    assert_eq!(
        store.seal(&id, blob(&bytes)).await.expect("it is sealed"),
        5_000
    );
    assert!(
        all(&*store, &Source::Blob(blob(&bytes))).await == bytes,
        "other bytes"
    );
}
