//! What a hook may look at.

use std::sync::Arc;

use async_trait::async_trait;
use grange_interfaces::{Claim, FinishedFilter, History, Page, StoreError};
use grange_model::{
    BuildId, BuildState, DerivationRecord, Digest, FactNumber, FinishedBuild, ItemRecord, Key,
    NumberedFact, Record,
};

use crate::conformance::writer::Writer;
use crate::{MemoryDatastore, sample};

/// Things that the sample facts are about.
pub(super) const KNOWN: std::ops::Range<u32> = 1..7;

/// A history that knows of them.
pub(super) async fn of_samples() -> Arc<MemoryDatastore> {
    let mut writer = Writer::claim(Arc::new(MemoryDatastore::new()), Claim::Exclusive).await;
    for number in KNOWN {
        let facts = sample::facts(number);
        let records = [
            Record::Derivation(sample::derivation(number)),
            Record::Finished(sample::finished(number, number, BuildState::Failed)),
            Record::Failure(sample::failure(number)),
            Record::Agent(sample::agent(number)),
        ];
        let changes = records.map(grange_model::Change::Put).into();
        writer.write(facts, changes).await;
    }
    writer.store
}

/// A history that cannot be read now.
#[derive(Debug)]
pub(super) struct Unavailable;

fn gone<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("as the suite wants".into()))
}

#[async_trait]
impl History for Unavailable {
    async fn get(&self, _: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        gone()
    }

    async fn finished(
        &self,
        _: &FinishedFilter,
        _: Option<BuildId>,
        _: usize,
    ) -> Result<Page<FinishedBuild>, StoreError> {
        gone()
    }

    async fn items(&self, _: Option<Digest>, _: usize) -> Result<Page<ItemRecord>, StoreError> {
        gone()
    }

    async fn derivations(
        &self,
        _: Option<Digest>,
        _: usize,
    ) -> Result<Page<DerivationRecord>, StoreError> {
        gone()
    }

    async fn facts(&self, _: FactNumber, _: usize) -> Result<Page<NumberedFact>, StoreError> {
        gone()
    }

    async fn count_finished(&self) -> Result<Vec<(BuildState, u64)>, StoreError> {
        gone()
    }
}
