//! The contracts.

/// Of the store.
mod store {
    use std::sync::Arc;

    use grange_derivation::StoreDir;
    use grange_sandbox::{SandboxStore, StoreConfig};
    use grange_testing::conformance::LocalStoreBench;

    use crate::fixture::Directory;

    struct Bench(Directory);

    impl LocalStoreBench for Bench {
        type Store = SandboxStore;

        async fn open(&self) -> Option<Arc<SandboxStore>> {
            let config = StoreConfig::new(self.0.path(), StoreDir::guix());
            Some(Arc::new(SandboxStore::open(config).unwrap()))
        }

        fn is_ours(&self) -> bool {
            true
        }
    }

    grange_testing::local_store_conformance!(Bench(Directory::new()));
}
