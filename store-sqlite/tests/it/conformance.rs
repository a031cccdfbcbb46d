//! The contract.

use std::sync::Arc;

use grange_store_sqlite::{SqliteConfig, SqliteDatastore};
use grange_testing::conformance::DatastoreBench;
use tempfile::TempDir;

struct Bench(TempDir);

impl DatastoreBench for Bench {
    type Store = SqliteDatastore;

    async fn open(&self) -> Arc<SqliteDatastore> {
        let path = self.0.path().join("grange.db");
        Arc::new(SqliteDatastore::open(path, SqliteConfig::default()).expect("it opens"))
    }
}

grange_testing::datastore_conformance!(Bench(TempDir::new().expect("a directory")));
