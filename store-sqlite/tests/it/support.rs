//! A coordinator's side of the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use grange_interfaces::{Claim, Datastore, History, StoreError};
use grange_model::{
    Batch, BuildState, Change, FactNumber, Key, NumberedFact, Record, Seq, Term, Timestamp,
};
use grange_store_sqlite::{SqliteConfig, SqliteDatastore};
use grange_testing::sample;
use tempfile::TempDir;

/// A directory with a database in it.
pub(crate) struct Place(pub(crate) TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("grange.db")
    }

    /// A connection of somebody else's.
    pub(crate) fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

pub(crate) fn open(path: &Path) -> Result<SqliteDatastore, StoreError> {
    SqliteDatastore::open(path, SqliteConfig::default())
}

/// Commits one after the other, each with a fact, a finished build, and a hook's cursor.
pub(crate) struct Writer {
    pub(crate) store: Arc<SqliteDatastore>,
    pub(crate) term: Term,
    pub(crate) seq: Seq,
}

impl Writer {
    pub(crate) async fn claim(store: SqliteDatastore) -> Self {
        let claimed = store.claim(Claim::Exclusive).await.unwrap();
        assert_eq!(claimed.fact.0, claimed.seq.0, "each commit has one fact");
        Self {
            store: Arc::new(store),
            term: claimed.term,
            seq: claimed.seq,
        }
    }

    pub(crate) fn batch(&self) -> Arc<Batch> {
        let next = self.seq.next().0;
        let number = u32::try_from(next).unwrap();
        let state = if number.is_multiple_of(2) {
            BuildState::Succeeded
        } else {
            BuildState::FailedDependency
        };
        let mut hook = sample::hook(1);
        hook.cursor = FactNumber(next);
        let changes = vec![
            Change::Put(Record::Finished(sample::finished(number, number, state))),
            Change::Put(Record::Hook(hook)),
        ];
        let facts = vec![sample::fact(number)];
        Arc::new(Batch {
            at: Timestamp(next),
            first_fact: FactNumber(next),
            facts,
            changes,
        })
    }

    pub(crate) async fn write(&mut self) -> Result<(), StoreError> {
        self.store
            .commit(self.term, self.seq.next(), self.batch())
            .await?;
        self.seq = self.seq.next();
        Ok(())
    }
}

/// The database holds all of the first `seq` commits of [`Writer`], and nothing else.
pub(crate) async fn assert_whole(store: &SqliteDatastore, term: Term, seq: Seq) {
    let facts = store
        .facts(FactNumber(0), usize::MAX)
        .await
        .unwrap()
        .entries;
    let numbers: Vec<_> = facts
        .iter()
        .map(|NumberedFact { number, .. }| number.0)
        .collect();
    assert_eq!(numbers, (1..=seq.0).collect::<Vec<_>>());
    for number in 1..=u32::try_from(seq.0).unwrap() {
        let key = Key::Finished(sample::build_id(number));
        assert!(
            store.get(&[key]).await.unwrap()[0].is_some(),
            "build {number} is gone"
        );
    }
    let live: Vec<Record> = store.load(term).try_concat().await.unwrap();
    match &live[..] {
        [] => assert_eq!(seq, Seq(0)),
        [Record::Hook(hook)] => assert_eq!(hook.cursor.0, seq.0),
        other => panic!("one hook was written: {other:?}"),
    }
    let report = store.check().await.unwrap();
    assert_eq!(report.problems, [""; 0]);
    assert_eq!(report.facts, seq.0);
    let records = seq.0 + live.len() as u64;
    assert_eq!(report.records, records);
}
