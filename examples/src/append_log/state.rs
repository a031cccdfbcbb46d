//! What the entries come to.

use std::collections::{BTreeMap, BTreeSet};

use grange::interfaces::{FinishedFilter, Page};
use grange::model::{
    Batch, BuildId, BuildState, Change, Digest, FactNumber, FinishedBuild, Key, NumberedFact,
    Record, Seq, Term,
};

use super::file::Entry;

/// All records and facts.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) records: BTreeMap<Key, Record>,
    journal: Vec<NumberedFact>,
    pub(super) term: Term,
    /// The last commit.
    pub(super) last: Option<(Term, Seq)>,
}

impl State {
    pub(super) fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Claim(term) => self.term = term,
            Entry::Commit(term, seq, batch) => {
                self.last = Some((term, seq));
                self.apply_batch(batch);
            }
        }
    }

    fn apply_batch(&mut self, batch: Batch) {
        self.journal.extend(batch.numbered_facts());
        for change in batch.changes {
            match change {
                Change::Put(record) => self.records.insert(record.key(), record),
                Change::Remove(key) => self.records.remove(&key),
            };
        }
    }

    pub(super) fn seq(&self) -> Seq {
        self.last.map_or(Seq(0), |(_, seq)| seq)
    }

    pub(super) fn fact(&self) -> FactNumber {
        self.journal
            .last()
            .map_or(FactNumber(0), |fact| fact.number)
    }

    /// Agents, hooks, histories of packages, attempts, unfinished builds and the derivations that these are of.
    pub(super) fn live(&self) -> Vec<Record> {
        let build = |record: &Record| match record {
            Record::Build(build) => Some(build.spec.derivation),
            _ => None,
        };
        let needed: BTreeSet<Digest> = self.records.values().filter_map(build).collect();
        let live = |record: &&Record| match record {
            Record::Agent(_)
            | Record::Hook(_)
            | Record::History(_)
            | Record::Attempt(_)
            | Record::Build(_) => true,
            Record::Derivation(derivation) => needed.contains(&derivation.item.digest),
            _ => false,
        };
        self.records.values().filter(live).cloned().collect()
    }

    /// At most `limit` of the records behind `after`, in the order of their keys.
    pub(super) fn page<T>(&self, limit: usize, pick: impl Fn(&Record) -> Option<T>) -> Page<T> {
        let mut entries: Vec<T> = self
            .records
            .values()
            .filter_map(pick)
            .take(limit.saturating_add(1))
            .collect();
        let more = entries.len() > limit;
        entries.truncate(limit);
        Page { entries, more }
    }

    pub(super) fn finished(
        &self,
        filter: &FinishedFilter,
        after: Option<BuildId>,
        limit: usize,
    ) -> Page<FinishedBuild> {
        self.page(limit, |record| match record {
            Record::Finished(build) => {
                let behind = after.is_none_or(|after| build.build.spec.id > after);
                (behind && fits(filter, build)).then(|| build.clone())
            }
            _ => None,
        })
    }

    pub(super) fn facts(&self, after: FactNumber, limit: usize) -> Page<NumberedFact> {
        let from = self.journal.partition_point(|fact| fact.number <= after);
        let behind = &self.journal[from..];
        let count = behind.len().min(limit);
        Page {
            entries: behind[..count].to_vec(),
            more: behind.len() > count,
        }
    }

    pub(super) fn count_finished(&self) -> Vec<(BuildState, u64)> {
        let mut counts: Vec<(BuildState, u64)> = Vec::new();
        for record in self.records.values() {
            let Record::Finished(build) = record else {
                continue;
            };
            match counts.iter_mut().find(|(state, _)| *state == build.state) {
                Some((_, count)) => *count += 1,
                None => counts.push((build.state, 1)),
            }
        }
        counts
    }
}

fn fits(filter: &FinishedFilter, build: &FinishedBuild) -> bool {
    let spec = &build.build.spec;
    let mut tags = filter.tags.iter();
    filter.state.is_none_or(|state| state == build.state)
        && tags.all(|(key, value)| spec.tags.get(key) == Some(value))
        && filter
            .system
            .as_ref()
            .is_none_or(|system| *system == build.system)
        && filter
            .derivation
            .is_none_or(|derivation| derivation == spec.derivation)
        && filter
            .lost_input
            .is_none_or(|lost| build.causes.iter().any(|cause| cause.output == lost))
}
