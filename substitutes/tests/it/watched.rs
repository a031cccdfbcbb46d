//! A history that counts what it is asked, and can be made to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use grange_interfaces::{FinishedFilter, History, Page, StoreError};
use grange_model::{
    BuildId, BuildState, DerivationRecord, Digest, FactNumber, FinishedBuild, ItemRecord, Key,
    NumberedFact, Record,
};
use grange_testing::MemoryDatastore;
use tokio::sync::RwLock;

/// What a site reads.
#[derive(Debug)]
pub(crate) struct Watched {
    inner: Arc<MemoryDatastore>,
    /// Who holds it for writing lets nobody read several records at once.
    pub(crate) several: RwLock<()>,
    several_read: AtomicUsize,
}

impl Watched {
    pub(crate) fn new(inner: Arc<MemoryDatastore>) -> Self {
        Self {
            inner,
            several: RwLock::new(()),
            several_read: AtomicUsize::new(0),
        }
    }

    /// How often several records were read at once.
    pub(crate) fn several_read(&self) -> usize {
        self.several_read.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl History for Watched {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        if keys.len() > 1 {
            self.several_read.fetch_add(1, Ordering::Relaxed);
            let _open = self.several.read().await;
        }
        self.inner.get(keys).await
    }

    async fn finished(
        &self,
        filter: &FinishedFilter,
        after: Option<BuildId>,
        limit: usize,
    ) -> Result<Page<FinishedBuild>, StoreError> {
        self.inner.finished(filter, after, limit).await
    }

    async fn items(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<ItemRecord>, StoreError> {
        self.inner.items(after, limit).await
    }

    async fn derivations(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<DerivationRecord>, StoreError> {
        self.inner.derivations(after, limit).await
    }

    async fn facts(
        &self,
        after: FactNumber,
        limit: usize,
    ) -> Result<Page<NumberedFact>, StoreError> {
        self.inner.facts(after, limit).await
    }

    async fn count_finished(&self) -> Result<Vec<(BuildState, u64)>, StoreError> {
        self.inner.count_finished().await
    }
}
