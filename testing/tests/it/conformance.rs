//! The fakes keep the contracts.

mod artifacts {
    use std::sync::Arc;

    use grange_testing::MemoryArtifacts;
    use grange_testing::conformance::ArtifactsBench;

    struct Bench(MemoryArtifacts);

    impl ArtifactsBench for Bench {
        type Store = MemoryArtifacts;

        async fn open(&self) -> Arc<MemoryArtifacts> {
            Arc::new(self.0.clone())
        }
    }

    grange_testing::artifacts_conformance!(Bench(MemoryArtifacts::new()));
}

mod datastore {
    use std::sync::Arc;

    use grange_testing::MemoryDatastore;
    use grange_testing::conformance::DatastoreBench;

    struct Bench(MemoryDatastore);

    impl DatastoreBench for Bench {
        type Store = MemoryDatastore;

        async fn open(&self) -> Arc<MemoryDatastore> {
            Arc::new(self.0.another())
        }
    }

    grange_testing::datastore_conformance!(Bench(MemoryDatastore::new()));
}
