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

/// Of the builder.
mod builder {
    use std::sync::Arc;

    use grange_derivation::Dialect;
    use grange_testing::Step;
    use grange_testing::conformance::{BuilderBench, Workshop, runs_here};

    use crate::fixture::farm;

    struct Bench(Dialect);

    impl BuilderBench for Bench {
        async fn open(&self) -> Option<Workshop> {
            let farm = Arc::new(farm(self.0).await?);
            let author = Arc::clone(&farm);
            Some(Workshop {
                builder: Arc::new(farm.builder.clone()),
                store: Arc::clone(&farm.store) as _,
                derivation: Box::new(move |name, steps| {
                    let lines: Vec<_> = steps.iter().map(Step::shell).collect();
                    author.shell(name, &lines.join("\n"))
                }),
                is_running: Box::new(runs_here),
                guard: Box::new(farm),
            })
        }
    }

    mod guix {
        grange_testing::builder_conformance!(super::Bench(super::Dialect::Guix));
    }

    mod nix {
        grange_testing::builder_conformance!(super::Bench(super::Dialect::Nix));
    }
}
