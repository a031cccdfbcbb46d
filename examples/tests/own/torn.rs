//! The Datastore of the examples survives a torn end, which only a file can have.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::sync::Arc;

use grange::interfaces::{Claim, Datastore, History, StoreError};
use grange::model::{Batch, Change, Key, Record, Seq};
use grange_examples::append_log::AppendLog;
use grange_testing::sample;
use tempfile::TempDir;

async fn put(store: &AppendLog, number: u32) {
    let claimed = store.claim(Claim::Exclusive).await.unwrap();
    let batch = Batch {
        changes: vec![Change::Put(Record::Agent(sample::agent(number)))],
        ..Batch::default()
    };
    let seq = claimed.seq.next();
    store
        .commit(claimed.term, seq, Arc::new(batch))
        .await
        .unwrap();
}

/// Cut anywhere in its last commit, the file has what was there before, and can be written again.
#[tokio::test]
async fn a_torn_end_is_cut_off() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("farm.log");
    let store = AppendLog::open(&path).unwrap();
    put(&store, 1).await;
    let before = fs::read(&path).unwrap().len();
    put(&store, 2).await;
    drop(store);
    let whole = fs::read(&path).unwrap();
    // The second one begins with a claim, which is an entry by itself.
    let claim = 16 + usize::from(whole[8]);
    for length in before + claim..whole.len() {
        let mut torn = whole[..length].to_vec();
        if length % 2 == 1 {
            // Blocks that were never written are zeroes.
            torn.resize(whole.len(), 0);
        }
        if torn == whole {
            continue;
        }
        fs::write(&path, &torn).unwrap();
        let store = AppendLog::open(&path).unwrap();
        let keys = [1, 2].map(|number| Key::Agent(sample::agent_id(number)));
        let found = store.get(&keys).await.unwrap();
        assert!(found[0].is_some() && found[1].is_none(), "cut at {length}");
        put(&store, 3).await;
        let claimed = store.claim(Claim::Exclusive).await.unwrap();
        assert_eq!(claimed.seq, Seq(2), "cut at {length}");
    }
}

/// What is wrong where it was synced is said, not taken for an end.
#[tokio::test]
async fn damage_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("farm.log");
    for number in 1..4 {
        put(&AppendLog::open(&path).unwrap(), number).await;
    }
    let bytes = fs::read(&path).unwrap();
    // All but the last entry, which could be torn.
    for at in 0..bytes.len() / 2 {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(&path, &damaged).unwrap();
        let opened = AppendLog::open(&path).map(drop);
        let refused = matches!(opened, Err(StoreError::Corrupt(_)));
        assert!(refused, "byte {at}: {opened:?}");
    }
    fs::write(&path, b"something else").unwrap();
    let opened = AppendLog::open(&path).map(drop);
    assert!(matches!(opened, Err(StoreError::Corrupt(_))), "{opened:?}");
}
