//! Stores that wait where a test wants something else to happen first.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use grange_interfaces::{
    ArtifactError, ArtifactStore, Body, Claim, Claimed, Datastore, FinishedFilter, History, Page,
    Source, StoreError, UploadId,
};
use grange_model::{
    Batch, BlobId, BuildId, BuildState, Change, DerivationRecord, Digest, FactNumber,
    FinishedBuild, ItemRecord, Key, NumberedFact, Record, Seq, Term,
};
use tokio::sync::watch;

/// Open at first.
#[derive(Debug)]
pub(crate) struct Gate {
    closed: watch::Sender<bool>,
    broken: AtomicBool,
    waiting: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            closed: watch::Sender::new(false),
            broken: AtomicBool::new(false),
            waiting: watch::Sender::new(0),
        }
    }
}

impl Gate {
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(crate) fn open(&self) {
        self.closed.send_replace(false);
    }

    /// Whoever waits is sent away.
    pub(crate) fn tear_down(&self) {
        self.broken.store(true, Ordering::Relaxed);
        self.open();
    }

    /// Returns once somebody waits at it.
    pub(crate) async fn is_reached(&self) {
        let mut waiting = self.waiting.subscribe();
        crate::farm::within(waiting.wait_for(|count| *count > 0))
            .await
            .unwrap();
    }

    /// Whether it may be passed.
    async fn pass(&self) -> bool {
        self.waiting.send_modify(|count| *count += 1);
        let mut closed = self.closed.subscribe();
        closed.wait_for(|closed| !closed).await.unwrap();
        self.waiting.send_modify(|count| *count -= 1);
        !self.broken.load(Ordering::Relaxed)
    }
}

/// A Datastore that waits before it commits items or deletes them, and after it has read items or
/// derivations.
#[derive(Debug)]
pub(crate) struct GatedDatastore<S> {
    pub(crate) inner: S,
    pub(crate) commit: Gate,
    pub(crate) removal: Gate,
    pub(crate) items: Gate,
    pub(crate) derivations: Gate,
    /// The journal holds these facts no more: those before this one.
    pub(crate) cut: AtomicU64,
}

impl<S> GatedDatastore<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            commit: Gate::default(),
            removal: Gate::default(),
            items: Gate::default(),
            derivations: Gate::default(),
            cut: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl<S: Datastore + Debug> Datastore for GatedDatastore<S> {
    async fn claim(&self, how: Claim) -> Result<Claimed, StoreError> {
        self.inner.claim(how).await
    }

    fn load(&self, term: Term) -> BoxStream<'_, Result<Vec<Record>, StoreError>> {
        self.inner.load(term)
    }

    async fn commit(&self, term: Term, seq: Seq, batch: Arc<Batch>) -> Result<(), StoreError> {
        let item = |change: &Change| matches!(change, Change::Put(Record::Item(_)));
        if batch.changes.iter().any(item) && !self.commit.pass().await {
            return Err(StoreError::Corrupt("it was torn down".into()));
        }
        let gone = |change: &Change| matches!(change, Change::Remove(Key::Item(_)));
        if batch.changes.iter().any(gone) {
            self.removal.pass().await;
        }
        self.inner.commit(term, seq, batch).await
    }
}

#[async_trait]
impl<S: Datastore + Debug> History for GatedDatastore<S> {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
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
        let page = self.inner.items(after, limit).await;
        self.items.pass().await;
        page
    }

    async fn derivations(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<DerivationRecord>, StoreError> {
        let page = self.inner.derivations(after, limit).await;
        self.derivations.pass().await;
        page
    }

    async fn facts(
        &self,
        after: FactNumber,
        limit: usize,
    ) -> Result<Page<NumberedFact>, StoreError> {
        let last_gone = self.cut.load(Ordering::Relaxed).saturating_sub(1);
        let after = after.max(FactNumber(last_gone));
        self.inner.facts(after, limit).await
    }

    async fn count_finished(&self) -> Result<Vec<(BuildState, u64)>, StoreError> {
        self.inner.count_finished().await
    }
}

/// An artifact store that waits before it deletes a blob.
#[derive(Debug)]
pub(crate) struct GatedArtifacts<S> {
    pub(crate) inner: S,
    pub(crate) delete: Gate,
}

#[async_trait]
impl<S: ArtifactStore> ArtifactStore for GatedArtifacts<S> {
    async fn append(
        &self,
        upload: &UploadId,
        offset: u64,
        body: Body,
    ) -> Result<u64, ArtifactError> {
        self.inner.append(upload, offset, body).await
    }

    async fn offset(&self, upload: &UploadId) -> Result<u64, ArtifactError> {
        self.inner.offset(upload).await
    }

    async fn seal(&self, upload: &UploadId, blob: BlobId) -> Result<u64, ArtifactError> {
        self.inner.seal(upload, blob).await
    }

    async fn size(&self, source: &Source) -> Result<u64, ArtifactError> {
        self.inner.size(source).await
    }

    async fn read(&self, source: &Source, range: Range<u64>) -> Result<Body, ArtifactError> {
        self.inner.read(source, range).await
    }

    async fn file(&self, blob: BlobId) -> Result<Option<std::fs::File>, ArtifactError> {
        self.inner.file(blob).await
    }

    async fn discard(&self, upload: &UploadId) -> Result<(), ArtifactError> {
        self.inner.discard(upload).await
    }

    async fn delete(&self, blob: BlobId) -> Result<(), ArtifactError> {
        self.delete.pass().await;
        self.inner.delete(blob).await
    }

    fn blobs(&self) -> BoxStream<'_, Result<BlobId, ArtifactError>> {
        self.inner.blobs()
    }

    fn uploads(&self) -> BoxStream<'_, Result<UploadId, ArtifactError>> {
        self.inner.uploads()
    }
}
