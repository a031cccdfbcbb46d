//! Commits, and what shows them.

use std::sync::Arc;

use grange_interfaces::History;
use grange_model::{Batch, Change, Fact, FactNumber, Key, Record, Timestamp};

use crate::conformance::HistoryBench;

/// A history to which commits are added.
pub(super) struct Filled<'a, B> {
    bench: &'a B,
    commits: Vec<Arc<Batch>>,
    fact: FactNumber,
}

impl<'a, B: HistoryBench> Filled<'a, B> {
    pub(super) fn new(bench: &'a B) -> Self {
        Self {
            bench,
            commits: Vec::new(),
            fact: FactNumber(0),
        }
    }

    /// The batch that comes next.
    pub(super) fn batch(&self, facts: Vec<Fact>, changes: Vec<Change>) -> Arc<Batch> {
        Arc::new(Batch {
            at: Timestamp(1_000 + self.commits.len() as u64),
            first_fact: FactNumber(self.fact.0 + 1),
            facts,
            changes,
        })
    }

    pub(super) fn write(&mut self, facts: Vec<Fact>, changes: Vec<Change>) {
        let batch = self.batch(facts, changes);
        self.fact.0 += batch.facts.len() as u64;
        self.commits.push(batch);
    }

    pub(super) fn put(&mut self, records: Vec<Record>) {
        let changes = records.into_iter().map(Change::Put).collect();
        self.write(Vec::new(), changes);
    }

    pub(super) fn remove(&mut self, keys: Vec<Key>) {
        let changes = keys.into_iter().map(Change::Remove).collect();
        self.write(Vec::new(), changes);
    }

    /// What shows all of them.
    pub(super) async fn history(&self) -> Arc<B::History> {
        self.bench.history(&self.commits).await
    }

    pub(super) async fn get(&self, key: Key) -> Option<Record> {
        let found = self.history().await.get(&[key]).await;
        let mut found = found.expect("the record is read");
        assert_eq!(found.len(), 1, "one key has one answer");
        found.remove(0)
    }
}
