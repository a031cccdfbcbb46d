//! A coordinator's side of a Datastore.

use std::sync::Arc;

use futures::TryStreamExt;
use grange_interfaces::{Claim, Datastore, StoreError};
use grange_model::{
    Batch, BuildState, Change, Fact, FactNumber, Key, Record, Seq, Term, Timestamp,
};

use crate::sample;

/// Claims a store and counts its commits.
pub(super) struct Writer<S> {
    pub(super) store: Arc<S>,
    pub(super) term: Term,
    pub(super) seq: Seq,
    pub(super) fact: FactNumber,
}

impl<S: Datastore> Writer<S> {
    pub(super) async fn claim(store: Arc<S>, how: Claim) -> Self {
        let claimed = store.claim(how).await.expect("the claim is granted");
        Self {
            store,
            term: claimed.term,
            seq: claimed.seq,
            fact: claimed.fact,
        }
    }

    /// The batch that comes next.
    pub(super) fn batch(&self, facts: Vec<Fact>, changes: Vec<Change>) -> Arc<Batch> {
        let at = Timestamp(1_000 + self.seq.0);
        Arc::new(Batch {
            at,
            first_fact: FactNumber(self.fact.0 + 1),
            facts,
            changes,
        })
    }

    /// Commits what comes next.
    pub(super) async fn try_write(
        &mut self,
        facts: Vec<Fact>,
        changes: Vec<Change>,
    ) -> Result<(), StoreError> {
        self.commit(self.batch(facts, changes)).await
    }

    /// Commits this.
    pub(super) async fn commit(&mut self, batch: Arc<Batch>) -> Result<(), StoreError> {
        self.store
            .commit(self.term, self.seq.next(), Arc::clone(&batch))
            .await?;
        self.seq = self.seq.next();
        self.fact.0 += batch.facts.len() as u64;
        Ok(())
    }

    pub(super) async fn write(&mut self, facts: Vec<Fact>, changes: Vec<Change>) {
        self.try_write(facts, changes)
            .await
            .expect("the commit is written");
    }

    pub(super) async fn put(&mut self, records: Vec<Record>) {
        self.write(Vec::new(), records.into_iter().map(Change::Put).collect())
            .await;
    }

    pub(super) async fn remove(&mut self, keys: Vec<Key>) {
        self.write(Vec::new(), keys.into_iter().map(Change::Remove).collect())
            .await;
    }

    /// All live records, in the order of their keys.
    pub(super) async fn load(&self) -> Vec<Record> {
        let chunks: Vec<_> = self
            .store
            .load(self.term)
            .try_collect()
            .await
            .expect("it loads");
        let mut records: Vec<Record> = chunks.concat();
        records.sort_by_key(Record::key);
        records
    }

    pub(super) async fn get(&self, key: Key) -> Option<Record> {
        let mut found = self.store.get(&[key]).await.expect("the record is read");
        assert_eq!(found.len(), 1, "one key has one answer");
        found.remove(0)
    }
}

/// One record of each kind, and what they need.
pub(super) fn one_of_each() -> Vec<Record> {
    vec![
        Record::Agent(sample::agent(1)),
        Record::Hook(sample::hook(1)),
        Record::History(sample::history(1)),
        Record::Derivation(sample::derivation(1)),
        Record::DerivationText {
            derivation: sample::digest(1),
            text: b"Derive(\xff\0)".to_vec(),
        },
        Record::Build(sample::build(1, 0, 1)),
        Record::Attempt(sample::attempt(0, 1)),
        Record::Item(sample::item_record(1)),
        Record::Failure(sample::failure(2)),
        Record::Finished(sample::finished(2, 2, BuildState::Failed)),
        Record::Upstream(sample::upstream_record(1)),
    ]
}
