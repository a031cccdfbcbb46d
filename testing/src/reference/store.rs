//! What is durable.

use std::collections::{BTreeMap, BTreeSet};

use grange_model::{
    Batch, BuildId, Change, FactNumber, FinishedBuild, Key, NumberedFact, Record, Seq, decode,
    encode,
};

use super::mismatch::{Mismatch, hold};

/// Records and facts, as they were committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    pub(super) records: BTreeMap<Key, Record>,
    pub(super) facts: Vec<NumberedFact>,
    pub(super) seq: Seq,
}

impl Store {
    /// Writes a batch, as it is after it went through the codec.
    pub(super) fn commit(&mut self, seq: Seq, batch: &Batch) -> Result<(), Mismatch> {
        let bytes = encode(batch).map_err(|it| Mismatch::new("a batch is encoded", it.to_string()));
        let batch = decode::<Batch>(&bytes?);
        let batch = batch.map_err(|it| Mismatch::new("a batch is decoded", it.to_string()))?;
        let follows = seq == self.seq.next() && batch.first_fact.0 == self.last_fact().0 + 1;
        hold("a commit follows the last one", follows, || {
            format!("{seq:?}")
        })?;
        self.seq = seq;
        for change in &batch.changes {
            match change {
                Change::Put(record) => self.records.insert(record.key(), record.clone()),
                Change::Remove(key) => self.records.remove(key),
            };
        }
        self.facts.extend(batch.numbered_facts());
        Ok(())
    }

    /// What a look-up finds.
    pub(super) fn get(&self, key: &Key) -> Option<Record> {
        let upstream = match key {
            Key::Item(output) => Some(Key::Upstream(*output)),
            _ => None,
        };
        let there = self.records.get(key);
        there.or_else(|| self.records.get(&upstream?)).cloned()
    }

    pub(super) fn finished(&self, id: BuildId) -> Option<&FinishedBuild> {
        match self.records.get(&Key::Finished(id)) {
            Some(Record::Finished(finished)) => Some(finished),
            _ => None,
        }
    }

    pub(super) fn all_finished(&self) -> impl Iterator<Item = &FinishedBuild> + '_ {
        self.records.values().filter_map(|record| match record {
            Record::Finished(finished) => Some(finished),
            _ => None,
        })
    }

    /// Whether a build of this name is, or was.
    pub(super) fn is_known(&self, id: BuildId) -> bool {
        let mut records = self.records.values();
        self.finished(id).is_some()
            || records.any(|record| matches!(record, Record::Build(build) if build.spec.id == id))
    }

    pub(super) fn last_fact(&self) -> FactNumber {
        FactNumber(self.facts.len() as u64)
    }

    /// How far the hook is.
    pub(super) fn cursor(&self, hook: &str) -> u64 {
        match self.records.get(&Key::Hook(hook.to_owned())) {
            Some(Record::Hook(hook)) => hook.cursor.0,
            _ => 0,
        }
    }

    /// What a Datastore loads.
    pub(super) fn live(&self) -> impl Iterator<Item = Record> + '_ {
        let builds = self.records.values().filter_map(|record| match record {
            Record::Build(build) => Some(build.spec.derivation),
            _ => None,
        });
        let wanted: BTreeSet<_> = builds.collect();
        let is_live = move |record: &&Record| match record {
            Record::Agent(_)
            | Record::Build(_)
            | Record::Attempt(_)
            | Record::Hook(_)
            | Record::History(_) => true,
            Record::Derivation(derivation) => wanted.contains(&derivation.item.digest),
            _ => false,
        };
        self.records.values().filter(is_live).cloned()
    }
}
