//! What suites run on.

use std::future::Future;
use std::sync::Arc;

use grange_interfaces::{ArtifactStore, Datastore};

/// What a Datastore's suite runs on: where one is stored. Each case makes its own, empty.
pub trait DatastoreBench: Send + Sync {
    /// What is tested.
    type Store: Datastore + 'static;

    /// Opens it, as a process does that starts. Cases drop what was opened before they open it
    /// again, unless they want to know what two coordinators do to each other.
    fn open(&self) -> impl Future<Output = Arc<Self::Store>> + Send;
}

/// What an ArtifactStore's suite runs on: where one is stored. Each case makes its own, empty.
pub trait ArtifactsBench: Send + Sync {
    /// What is tested.
    type Store: ArtifactStore + 'static;

    /// Opens it, as a process does that starts. Cases drop what was opened before.
    fn open(&self) -> impl Future<Output = Arc<Self::Store>> + Send;
}
