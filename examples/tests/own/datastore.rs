//! The Datastore of the examples keeps the contract.

use std::sync::Arc;

use grange_examples::append_log::AppendLog;
use grange_testing::conformance::DatastoreBench;
use tempfile::TempDir;

/// What is stored, while nobody has it open: dropped after each case.
struct Bench(TempDir);

impl DatastoreBench for Bench {
    type Store = AppendLog;

    async fn open(&self) -> Arc<AppendLog> {
        Arc::new(AppendLog::open(self.0.path().join("farm.log")).expect("it opens"))
    }
}

grange_testing::datastore_conformance!(Bench(TempDir::new().expect("a directory")));
