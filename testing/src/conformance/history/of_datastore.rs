//! The History of a Datastore.

use std::fmt;
use std::sync::Arc;

use grange_interfaces::Claim;
use grange_model::Batch;
use tokio::sync::Mutex;

use crate::conformance::writer::Writer;
use crate::conformance::{DatastoreBench, HistoryBench};

/// A Datastore, as the [`History`](grange_interfaces::History) of what is committed to it.
pub struct OfDatastore<B: DatastoreBench> {
    bench: B,
    writer: Mutex<Option<Writer<B::Store>>>,
}

impl<B: DatastoreBench> OfDatastore<B> {
    /// It is opened and claimed when it is asked for.
    pub fn new(bench: B) -> Self {
        Self {
            bench,
            writer: Mutex::new(None),
        }
    }
}

impl<B: DatastoreBench> fmt::Debug for OfDatastore<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfDatastore")
    }
}

impl<B: DatastoreBench> HistoryBench for OfDatastore<B> {
    type History = B::Store;

    async fn history(&self, commits: &[Arc<Batch>]) -> Arc<B::Store> {
        let mut writer = self.writer.lock().await;
        if writer.is_none() {
            let store = self.bench.open().await;
            *writer = Some(Writer::claim(store, Claim::Exclusive).await);
        }
        let writer = writer.as_mut().expect("it was made above");
        let written = usize::try_from(writer.seq.0).unwrap_or(usize::MAX);
        for batch in commits.iter().skip(written) {
            let written = writer.commit(Arc::clone(batch)).await;
            written.expect("the commit is written");
        }
        Arc::clone(&writer.store)
    }
}
