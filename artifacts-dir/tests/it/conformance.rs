//! The contract.

use std::sync::Arc;

use grange_artifacts_dir::ArtifactsDir;
use grange_testing::conformance::ArtifactsBench;
use tempfile::TempDir;

struct Bench(TempDir);

impl ArtifactsBench for Bench {
    type Store = ArtifactsDir;

    async fn open(&self) -> Arc<ArtifactsDir> {
        Arc::new(ArtifactsDir::open(self.0.path().join("artifacts")).expect("it opens"))
    }
}

grange_testing::artifacts_conformance!(Bench(TempDir::new().expect("a directory")));
