//! Strict fakes and conformance suites for those who embed Grange.
//!
//! | | what it is |
//! |---|---|
//! | [`MemoryDatastore`] | a [`Datastore`] in memory, stricter than any real one, that fails when told to |
//! | [`MemoryArtifacts`] | an [`ArtifactStore`] in memory, likewise |
//! | [`MemoryUpstream`] | an [`Upstream`] in memory |
//! | [`datastore_conformance!`], [`artifacts_conformance!`] | one test for each sentence of a contract |
//! | [`sample`] | records to test with |
//!
//! Who writes a Datastore says how to open it, and has the whole suite with one line:
//!
//! ```
//! use std::sync::Arc;
//! use grange_testing::conformance::DatastoreBench;
//! use grange_testing::MemoryDatastore;
//!
//! /// What is stored, while nobody has it open.
//! struct Bench(MemoryDatastore);
//!
//! impl DatastoreBench for Bench {
//!     type Store = MemoryDatastore;
//!
//!     async fn open(&self) -> Arc<MemoryDatastore> {
//!         Arc::new(self.0.another())
//!     }
//! }
//!
//! grange_testing::datastore_conformance!(Bench(MemoryDatastore::new()));
//! ```
//!
//! [`Datastore`]: grange_interfaces::Datastore
//! [`ArtifactStore`]: grange_interfaces::ArtifactStore
//! [`Upstream`]: grange_interfaces::Upstream

mod artifacts;
mod building;
pub mod conformance;
mod datastore;
pub mod sample;
mod transport;
mod upstream;

pub use artifacts::MemoryArtifacts;
pub use building::{MemoryBuilder, MemoryLocalStore, Step};
pub use datastore::MemoryDatastore;
pub use transport::{MemoryServer, MemoryTransport};
pub use upstream::MemoryUpstream;
