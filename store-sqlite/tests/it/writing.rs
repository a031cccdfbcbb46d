//! What the writer does beyond the contract.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use grange_interfaces::{Claim, Datastore, History, StoreError};
use grange_model::{Batch, Change, FactNumber, Key, Record, Seq, Term, Timestamp};
use grange_store_sqlite::{SqliteConfig, SqliteDatastore};
use grange_testing::sample;

use crate::support::{Place, Writer, assert_whole, open};

#[tokio::test]
async fn a_gap_in_the_journal_is_refused() {
    let place = Place::new();
    let mut writer = Writer::claim(open(&place.path()).unwrap()).await;
    writer.write().await.unwrap();
    for first in [0, 1, 3, u64::MAX] {
        let facts = vec![sample::fact(1)];
        let batch = Batch {
            at: Timestamp(1),
            first_fact: FactNumber(first),
            facts,
            changes: vec![],
        };
        let refused = writer
            .store
            .commit(writer.term, Seq(2), Arc::new(batch))
            .await;
        assert!(
            matches!(refused, Err(StoreError::Corrupt(_))),
            "{first}: {refused:?}"
        );
    }
    assert_whole(&writer.store, writer.term, Seq(1)).await;
}

#[tokio::test]
async fn a_term_that_nobody_claimed_is_refused() {
    let place = Place::new();
    let writer = Writer::claim(open(&place.path()).unwrap()).await;
    let refused = writer
        .store
        .commit(Term(u64::MAX), Seq(1), writer.batch())
        .await;
    assert!(
        matches!(refused, Err(StoreError::Corrupt(_))),
        "{refused:?}"
    );
    assert_whole(&writer.store, writer.term, Seq(0)).await;
}

#[tokio::test]
async fn a_fenced_coordinator_loads_nothing() {
    let place = Place::new();
    let writer = Writer::claim(open(&place.path()).unwrap()).await;
    let holder = writer.store.claim(Claim::Exclusive).await.unwrap().term;
    let loaded: Result<Vec<_>, _> = writer.store.load(writer.term).try_collect().await;
    assert_eq!(
        loaded,
        Err(StoreError::Fenced {
            mine: writer.term,
            holder
        })
    );
}

/// Whether commits are smaller or larger than what a checkpoint waits for.
#[tokio::test]
async fn the_write_ahead_log_stays_bounded() {
    const LIMIT: u64 = 512 << 10;
    for checkpoint_at in [256 << 10, 32 << 10] {
        let place = Place::new();
        let config = SqliteConfig {
            checkpoint_at,
            wal_limit: LIMIT,
            ..SqliteConfig::default()
        };
        let store = SqliteDatastore::open(place.path(), config).unwrap();
        let term = store.claim(Claim::Exclusive).await.unwrap().term;
        let mut most = 0;
        for seq in 1..=200 {
            // About 100 KiB each: 20 MiB in all.
            let text = |number: u32| Record::DerivationText {
                derivation: sample::digest(number * 1_000 + seq),
                text: vec![7; 9_000],
            };
            let changes = (0..11).map(|number| Change::Put(text(number))).collect();
            let batch = Batch {
                at: Timestamp(1),
                first_fact: FactNumber(1),
                facts: vec![],
                changes,
            };
            store
                .commit(term, Seq(u64::from(seq)), Arc::new(batch))
                .await
                .unwrap();
            let log = place.path().with_file_name("grange.db-wal");
            most = most.max(log.metadata().unwrap().len());
        }
        assert!(most < 2 * LIMIT, "the write-ahead log had {most} bytes");
    }
}

#[tokio::test]
async fn nobody_waits_for_who_does_not_go_on_loading() {
    let place = Place::new();
    let config = SqliteConfig {
        readers: 1,
        ..SqliteConfig::default()
    };
    let store = SqliteDatastore::open(place.path(), config).unwrap();
    let term = store.claim(Claim::Exclusive).await.unwrap().term;
    let agents = |from: u32| {
        let changes =
            (from..from + 9_000).map(|number| Change::Put(Record::Agent(sample::agent(number))));
        let changes = changes.collect();
        Arc::new(Batch {
            at: Timestamp(1),
            first_fact: FactNumber(1),
            facts: vec![],
            changes,
        })
    };
    store.commit(term, Seq(1), agents(0)).await.unwrap();
    let mut chunks = store.load(term);
    let first = chunks.next().await.unwrap().unwrap();
    assert_eq!(first.len(), 1_000);
    store.commit(term, Seq(2), agents(9_000)).await.unwrap();
    let key = Key::Agent(sample::agent_id(17_999));
    assert!(store.get(&[key]).await.unwrap()[0].is_some());
    let rest: Vec<Record> = chunks.try_concat().await.unwrap();
    assert_eq!(first.len() + rest.len(), 9_000);
}

#[tokio::test]
async fn a_commit_that_could_not_be_written_is_written_later() {
    let place = Place::new();
    let config = SqliteConfig {
        busy: Duration::from_millis(1),
        ..SqliteConfig::default()
    };
    let mut writer = Writer::claim(SqliteDatastore::open(place.path(), config).unwrap()).await;
    writer.write().await.unwrap();
    let other = place.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..2 {
        let busy = writer.write().await;
        assert!(matches!(busy, Err(StoreError::Unavailable(_))), "{busy:?}");
    }
    other.execute_batch("ROLLBACK").unwrap();
    writer.write().await.unwrap();
    assert_whole(&writer.store, writer.term, Seq(2)).await;
}

/// Whoever hands in a commit and goes away has it written all the same, as a whole.
#[tokio::test]
async fn a_commit_that_nobody_waits_for_is_whole() {
    let place = Place::new();
    let mut writer = Writer::claim(open(&place.path()).unwrap()).await;
    let store = Arc::clone(&writer.store);
    let mut commit = store.commit(writer.term, Seq(1), writer.batch());
    let _ = futures::poll!(&mut commit);
    drop(commit);
    // The queue is in order: what was handed in comes first.
    writer.write().await.unwrap();
    assert_whole(&writer.store, writer.term, Seq(1)).await;
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_reads_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let mut writer = Writer::claim(open(&place.path()).unwrap()).await;
    writer.write().await.unwrap();
    for name in ["grange.db", "grange.db-wal", "grange.db-shm"] {
        let mode = place
            .0
            .path()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// Those that wait for each other go together; nobody gets another's answer, and nobody waits for one who has gone.
#[tokio::test]
async fn each_of_many_questions_has_its_own_answer() {
    let place = Place::new();
    let mut writer = Writer::claim(open(&place.path()).unwrap()).await;
    for _ in 0..20 {
        writer.write().await.unwrap();
    }
    let ask = |asked: u32| {
        let store = Arc::clone(&writer.store);
        async move {
            // The last of the three is not there.
            let numbers = [asked % 20 + 1, (asked + 7) % 20 + 1, asked + 1_000];
            let keys = numbers.map(|number| Key::Finished(sample::build_id(number)));
            let found = store.get(&keys).await.unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|it| it.as_ref().map(Record::key))
                .collect();
            let [first, second, _] = keys;
            assert_eq!(found, [Some(first), Some(second), None]);
        }
    };
    let asking: Vec<_> = (0..500).map(|asked| tokio::spawn(ask(asked))).collect();
    for (number, asking) in asking.into_iter().enumerate() {
        if number % 3 == 0 {
            asking.abort();
        } else {
            asking.await.unwrap();
        }
    }
    let Writer { store, .. } = writer;
    let store = Arc::try_unwrap(store);
    if let Ok(store) = store {
        drop(store);
        open(&place.path()).unwrap();
    }
}
