//! Answers.

use std::ops::Bound;

use grange_interfaces::{FinishedFilter, Page, StoreError};
use grange_model::{
    BuildId, BuildState, DerivationRecord, Digest, FactNumber, FinishedBuild, ItemRecord, Key,
    NumberedFact, Record,
};
use uuid::Uuid;

use super::state::State;

/// Records that `load` gives in a chunk: few, so that tests with little have several.
const CHUNK: usize = 7;

impl State {
    /// The live records in chunks, in another order than a real Datastore would have: the contract
    /// promises none.
    pub(super) fn live_records(&self) -> Result<Vec<Vec<Record>>, StoreError> {
        let live = |key: &Key| match key {
            Key::Agent(_)
            | Key::Build(_)
            | Key::Attempt(_)
            | Key::Hook(_)
            | Key::History { .. } => true,
            Key::Derivation(digest) => self.of.get(digest).is_some_and(|slots| !slots.is_empty()),
            _ => false,
        };
        let keys: Vec<_> = self.records.keys().rev().filter(|key| live(key)).collect();
        keys.chunks(CHUNK)
            .map(|keys| {
                keys.iter()
                    .filter_map(|key| self.record(key).transpose())
                    .collect()
            })
            .collect()
    }

    pub(super) fn finished(
        &self,
        filter: &FinishedFilter,
        after: Option<BuildId>,
        limit: usize,
    ) -> Result<Page<FinishedBuild>, StoreError> {
        let mut page = Page {
            entries: Vec::new(),
            more: false,
        };
        for build in self.finished_builds() {
            let build = build?;
            if after.is_some_and(|after| build.build.spec.id <= after) || !fits(filter, &build) {
                continue;
            }
            if page.entries.len() == limit {
                page.more = true;
                break;
            }
            page.entries.push(build);
        }
        Ok(page)
    }

    pub(super) fn items(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<ItemRecord>, StoreError> {
        let mut page = Page {
            entries: Vec::new(),
            more: false,
        };
        let from = match after {
            Some(after) => Bound::Excluded(Key::Item(after)),
            None => Bound::Included(Key::Item(Digest([0; 20]))),
        };
        for (key, _) in self.records.range((from, Bound::Unbounded)) {
            let Some(Record::Item(item)) = self.record(key)? else {
                break;
            };
            if page.entries.len() == limit {
                page.more = true;
                break;
            }
            page.entries.push(item);
        }
        Ok(page)
    }

    pub(super) fn derivations(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<DerivationRecord>, StoreError> {
        let mut page = Page {
            entries: Vec::new(),
            more: false,
        };
        let from = match after {
            Some(after) => Bound::Excluded(Key::Derivation(after)),
            None => Bound::Included(Key::Derivation(Digest([0; 20]))),
        };
        for (key, _) in self.records.range((from, Bound::Unbounded)) {
            let Some(Record::Derivation(derivation)) = self.record(key)? else {
                break;
            };
            if page.entries.len() == limit {
                page.more = true;
                break;
            }
            page.entries.push(derivation);
        }
        Ok(page)
    }

    pub(super) fn facts(
        &self,
        after: FactNumber,
        limit: usize,
    ) -> Result<Page<NumberedFact>, StoreError> {
        let behind = self.fact().0.saturating_sub(after.0);
        let count = behind.min(limit as u64);
        let entries = (0..count)
            .filter_map(|index| self.numbered_fact(after.0 + 1 + index).transpose())
            .collect::<Result<_, _>>()?;
        Ok(Page {
            entries,
            more: behind > count,
        })
    }

    pub(super) fn count_finished(&self) -> Result<Vec<(BuildState, u64)>, StoreError> {
        let mut counts: Vec<_> = BuildState::ALL
            .into_iter()
            .filter(|state| state.is_final())
            .map(|state| (state, 0))
            .collect();
        for build in self.finished_builds() {
            let ended = build?.state;
            for (state, count) in &mut counts {
                *count += u64::from(*state == ended);
            }
        }
        Ok(counts)
    }

    fn finished_builds(&self) -> impl Iterator<Item = Result<FinishedBuild, StoreError>> + '_ {
        let first = Key::Finished(BuildId(Uuid::nil()));
        let keys = self.records.range(first..).map(|(key, _)| key);
        keys.filter_map(|key| match self.record(key) {
            Ok(Some(Record::Finished(build))) => Some(Ok(build)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

/// Whether the filter lets the build through; what its fields say, one after the other.
pub(crate) fn fits(filter: &FinishedFilter, build: &FinishedBuild) -> bool {
    let spec = &build.build.spec;
    filter.state.is_none_or(|state| state == build.state)
        && filter
            .tags
            .iter()
            .all(|(key, value)| spec.tags.get(key) == Some(value))
        && filter
            .system
            .as_ref()
            .is_none_or(|system| *system == build.system)
        && filter
            .derivation
            .is_none_or(|derivation| derivation == spec.derivation)
        && filter
            .lost_input
            .is_none_or(|output| build.causes.iter().any(|cause| cause.output == output))
}
