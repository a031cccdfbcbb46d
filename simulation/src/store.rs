//! What is durable: a Datastore as its contract says, and no stricter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use grange_model::{
    Batch, BuildId, BuildRecord, BuildState, Change, DerivationRecord, Digest, FactNumber,
    FinishedBuild, Key, NumberedFact, Record, Seq, Term,
};

/// Records and facts that were committed.
#[derive(Debug, Default)]
pub(crate) struct Store {
    term: Term,
    last: (Term, Seq),
    records: BTreeMap<Key, Record>,
    facts: Vec<NumberedFact>,
    rows: BTreeMap<BuildId, u32>,
    /// Builds that ended as failed-dependency, by the output that they lack.
    lacking: BTreeMap<Digest, BTreeSet<BuildId>>,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Now,
    Before,
    /// Another coordinator has claimed the store.
    Fenced,
    /// It does not follow the last one.
    Gap,
}

impl Store {
    /// One that holds these from the beginning.
    pub(crate) fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let mut store = Self::default();
        for record in records {
            store.change(&Change::Put(record));
        }
        store
    }

    /// Makes the caller the only writer.
    pub(crate) fn claim(&mut self) -> (Term, Seq) {
        self.term = Term(self.term.0 + 1);
        (self.term, self.last.1)
    }

    /// Whether a commit would be written. The caller has a look at it first.
    pub(crate) fn would(&self, term: Term, seq: Seq) -> Written {
        if term != self.term {
            Written::Fenced
        } else if (term, seq) == self.last {
            Written::Before
        } else if seq == self.last.1.next() {
            Written::Now
        } else {
            Written::Gap
        }
    }

    pub(crate) fn write(&mut self, term: Term, seq: Seq, batch: &Arc<Batch>) {
        self.last = (term, seq);
        for change in &batch.changes {
            self.change(change);
        }
        self.facts.extend(batch.numbered_facts());
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Put(record) => {
                let key = record.key();
                self.unlist(&key);
                match record {
                    Record::Build(build) => {
                        self.rows.insert(build.spec.id, build.slot);
                    }
                    Record::Finished(finished)
                        if finished.state == BuildState::FailedDependency =>
                    {
                        for cause in &finished.causes {
                            let waiting = self.lacking.entry(cause.output).or_default();
                            waiting.insert(finished.build.spec.id);
                        }
                    }
                    _ => {}
                }
                self.records.insert(key, record.clone());
            }
            Change::Remove(key) => {
                self.unlist(key);
                self.records.remove(key);
            }
        }
    }

    /// What is known of a record elsewhere is forgotten.
    fn unlist(&mut self, key: &Key) {
        match self.records.get(key) {
            Some(Record::Build(build)) => {
                self.rows.remove(&build.spec.id);
            }
            Some(Record::Finished(finished)) => {
                for cause in &finished.causes {
                    if let Some(waiting) = self.lacking.get_mut(&cause.output) {
                        waiting.remove(&finished.build.spec.id);
                    }
                }
            }
            _ => {}
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Record> {
        self.records.get(key)
    }

    pub(crate) fn has_item(&self, output: Digest) -> bool {
        self.records.contains_key(&Key::Item(output))
    }

    pub(crate) fn derivation(&self, digest: Digest) -> Option<&DerivationRecord> {
        match self.get(&Key::Derivation(digest)) {
            Some(Record::Derivation(derivation)) => Some(derivation),
            _ => None,
        }
    }

    pub(crate) fn finished(&self, build: BuildId) -> Option<&FinishedBuild> {
        match self.get(&Key::Finished(build)) {
            Some(Record::Finished(finished)) => Some(finished),
            _ => None,
        }
    }

    pub(crate) fn is_unfinished(&self, build: BuildId) -> bool {
        self.rows.contains_key(&build)
    }

    pub(crate) fn is_known(&self, build: BuildId) -> bool {
        self.is_unfinished(build) || self.finished(build).is_some()
    }

    /// Whether an unfinished build shall have an attempt of its own.
    pub(crate) fn asks_again(&self, build: BuildId) -> bool {
        self.unfinished(build).is_some_and(|build| build.spec.again)
    }

    fn unfinished(&self, build: BuildId) -> Option<&BuildRecord> {
        match self.get(&Key::Build(*self.rows.get(&build)?)) {
            Some(Record::Build(build)) => Some(build),
            _ => None,
        }
    }

    /// The derivation that a build is of.
    pub(crate) fn derivation_of(&self, build: BuildId) -> Option<Digest> {
        if let Some(finished) = self.finished(build) {
            return Some(finished.build.spec.derivation);
        }
        self.unfinished(build).map(|build| build.spec.derivation)
    }

    /// Builds that ended as failed-dependency for want of this output.
    pub(crate) fn lacking(&self, output: Digest) -> Vec<FinishedBuild> {
        let waiting = self.lacking.get(&output).into_iter().flatten();
        waiting
            .filter_map(|build| self.finished(*build))
            .cloned()
            .collect()
    }

    /// How many records are held, of every kind.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> + '_ {
        self.records.values()
    }

    pub(crate) fn last_fact(&self) -> FactNumber {
        FactNumber(self.facts.len() as u64)
    }

    /// The fact behind this one.
    pub(crate) fn next_fact(&self, after: FactNumber) -> Option<&NumberedFact> {
        self.facts.get(usize::try_from(after.0).ok()?)
    }

    /// What a Datastore loads.
    pub(crate) fn live(&self) -> Vec<Record> {
        let rows = self.rows.values().map(|row| Key::Build(*row));
        let builds = rows.filter_map(|row| match self.get(&row) {
            Some(Record::Build(build)) => Some(build.spec.derivation),
            _ => None,
        });
        let wanted: BTreeSet<_> = builds.collect();
        let is_live = |record: &&Record| match record {
            Record::Agent(_)
            | Record::Build(_)
            | Record::Attempt(_)
            | Record::Hook(_)
            | Record::History(_) => true,
            Record::Derivation(derivation) => wanted.contains(&derivation.item.digest),
            _ => false,
        };
        self.records.values().filter(is_live).cloned().collect()
    }
}
