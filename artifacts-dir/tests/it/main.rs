//! The directory as an ArtifactStore.

#![expect(clippy::unwrap_used, reason = "tests")]

mod conformance;
mod disk;
