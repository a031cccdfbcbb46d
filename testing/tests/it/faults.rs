//! The fakes fail when they are told to.

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use grange_interfaces::{
    ArtifactError, ArtifactStore, Claim, Datastore, History, StoreError, UploadId,
};
use grange_model::{Batch, Change, FactNumber, Key, Record, Seq, Timestamp};
use grange_testing::{MemoryArtifacts, MemoryDatastore, sample};

fn batch(number: u32) -> Arc<Batch> {
    let changes = vec![Change::Put(Record::Agent(sample::agent(number)))];
    Arc::new(Batch {
        at: Timestamp(1),
        first_fact: FactNumber(1),
        facts: vec![],
        changes,
    })
}

async fn has(store: &MemoryDatastore, number: u32) -> bool {
    store
        .get(&[Key::Agent(sample::agent_id(number))])
        .await
        .unwrap()
        != [None]
}

#[tokio::test]
async fn a_commit_fails_before_or_after_it_is_written() {
    let store = MemoryDatastore::new();
    let term = store.claim(Claim::Exclusive).await.unwrap().term;
    store.fail_before(2);
    for _ in 0..2 {
        let failed = store.commit(term, Seq(1), batch(1)).await;
        assert!(
            matches!(failed, Err(StoreError::Unavailable(_))),
            "{failed:?}"
        );
        assert!(!has(&store, 1).await);
    }
    store.commit(term, Seq(1), batch(1)).await.unwrap();
    store.fail_after(1);
    let failed = store.commit(term, Seq(2), batch(2)).await;
    assert!(
        matches!(failed, Err(StoreError::Unavailable(_))),
        "{failed:?}"
    );
    assert!(has(&store, 2).await);
    store.commit(term, Seq(2), batch(2)).await.unwrap();
    assert_eq!(store.seq(), Seq(2));
}

#[tokio::test]
async fn a_held_commit_waits_and_is_lost_with_its_process() {
    let store = MemoryDatastore::new();
    let term = store.claim(Claim::Exclusive).await.unwrap().term;
    store.hold();
    let mut commit = store.commit(term, Seq(1), batch(1));
    assert!((&mut commit).now_or_never().is_none());
    store.release();
    commit.await.unwrap();
    store.hold();
    let mut commit = store.commit(term, Seq(2), batch(2));
    assert!((&mut commit).now_or_never().is_none());
    let again = store.reopen();
    let gone = commit.await;
    assert!(matches!(gone, Err(StoreError::Unavailable(_))), "{gone:?}");
    let claimed = again.claim(Claim::Exclusive).await.unwrap();
    assert_eq!(claimed.seq, Seq(1));
    assert!(has(&again, 1).await && !has(&again, 2).await);
    assert!(
        store.get(&[]).await.is_err(),
        "the ended process still reads"
    );
}

#[tokio::test]
async fn a_fenced_store_is_held_by_another() {
    let store = MemoryDatastore::new();
    let term = store.claim(Claim::Exclusive).await.unwrap().term;
    let holder = store.fence();
    let fenced = store.commit(term, Seq(1), batch(1)).await;
    assert_eq!(fenced, Err(StoreError::Fenced { mine: term, holder }));
    let used = store.claim(Claim::Exclusive).await;
    assert!(matches!(used, Err(StoreError::InUse(_))), "{used:?}");
    assert!(store.claim(Claim::Force).await.unwrap().term > holder);
}

#[tokio::test]
async fn artifacts_fill_up_and_fail() {
    let store = MemoryArtifacts::new();
    let id = UploadId::new("a").unwrap();
    let body = |bytes: &'static [u8]| stream::iter([Ok(Bytes::from_static(bytes))]).boxed();
    store.set_room(Some(3));
    let full = store.append(&id, 0, body(b"hello")).await;
    assert!(matches!(full, Err(ArtifactError::Full)), "{full:?}");
    assert_eq!(store.offset(&id).await.unwrap(), 3);
    store.set_room(None);
    store.fail(1);
    let failed = store.append(&id, 3, body(b"lo")).await;
    assert!(matches!(failed, Err(ArtifactError::Io(_))), "{failed:?}");
    assert_eq!(store.append(&id, 3, body(b"lo")).await.unwrap(), 5);
}
