//! Strict fakes and conformance suites for those who embed Grange.
//!
//! | | what it is |
//! |---|---|
//! | [`MemoryDatastore`] | a [`Datastore`] in memory, stricter than any real one, that fails when told to |
//! | [`MemoryArtifacts`] | an [`ArtifactStore`] in memory, likewise |
//! | [`MemoryTransport`] | calls through channels, as a network would carry them |
//! | [`MemoryLocalStore`], [`MemoryBuilder`] | a [`LocalStore`] in memory, and a [`Builder`] that takes a few [`Step`]s |
//! | [`MemoryUpstream`] | an [`Upstream`] in memory |
//! | [`mod@reference`] | the coordinator as plain as possible, compared with the real core |
//! | [`sample`] | records, facts, messages and answers to test with |
//!
//! A suite is one line, which makes a test of each case; a case cites the sentence that it proves:
//!
//! | suite | proves | ours that keep it |
//! |---|---|---|
//! | [`datastore_conformance!`] | [`Datastore`] and [`History`] | `grange-store-sqlite`, [`MemoryDatastore`], the file in `examples` |
//! | [`history_conformance!`] | a [`History`] alone, whoever fills it | a [`MemoryDatastore`] that is filled from a list |
//! | [`artifacts_conformance!`] | [`ArtifactStore`] | `grange-artifacts-dir`, [`MemoryArtifacts`] |
//! | [`transport_conformance!`] | what lies between two [`Endpoint`]s | `grange-transport-http` over TCP, sockets and pipes, [`MemoryTransport`] |
//! | [`endpoint_conformance!`] | an [`Endpoint`] that answers by itself: every message can be sent again | `grange-coordinator` |
//! | [`local_store_conformance!`] | [`LocalStore`] | `grange-sandbox`, `grange-daemon-protocol`, [`MemoryLocalStore`] |
//! | [`builder_conformance!`] | [`Builder`] | `grange-sandbox`, `grange-daemon-protocol`, [`MemoryBuilder`] |
//! | [`hook_conformance!`] | an embedder's own [`Hook`] | `grange-coordinator`'s `MissingInputs` |
//! | [`delivery_conformance!`] | what gives hooks their facts | `grange-coordinator` |
//! | [`policy_conformance!`] | the parts of a [`Policy`] | the default |
//!
//! Each suite is run here on ten or more implementations that are broken on purpose
//! (`tests/it/broken_*.rs`): it is said of each of these which cases fail, and which of them is meant for
//! the defect; and each case is the one that is meant for a defect which next to no other finds. Who wants
//! to see the same of an own defect asks [`failing_cases!`] and [`suite_cases!`]. No case runs longer
//! than [`conformance::PATIENCE`].
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
//! [`Builder`]: grange_interfaces::Builder
//! [`Endpoint`]: grange_interfaces::Endpoint
//! [`History`]: grange_interfaces::History
//! [`Hook`]: grange_interfaces::Hook
//! [`LocalStore`]: grange_interfaces::LocalStore
//! [`Policy`]: grange_coordinator_core::Policy
//! [`Upstream`]: grange_interfaces::Upstream

mod artifacts;
mod building;
pub mod conformance;
mod datastore;
pub mod reference;
pub mod sample;
mod transport;
mod upstream;

pub use artifacts::MemoryArtifacts;
pub use building::{MemoryBuilder, MemoryLocalStore, Step};
pub use datastore::MemoryDatastore;
pub use transport::{MemoryServer, MemoryTransport};
pub use upstream::MemoryUpstream;
