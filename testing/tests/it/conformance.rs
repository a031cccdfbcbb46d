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

/// One that is filled from a list of commits.
mod history {
    use std::sync::Arc;

    use grange_interfaces::{Claim, Datastore};
    use grange_model::Batch;
    use grange_testing::MemoryDatastore;
    use grange_testing::conformance::HistoryBench;

    struct Bench;

    impl HistoryBench for Bench {
        type History = MemoryDatastore;

        async fn history(&self, commits: &[Arc<Batch>]) -> Arc<MemoryDatastore> {
            let store = MemoryDatastore::new();
            let mut claimed = store.claim(Claim::Exclusive).await.unwrap();
            for batch in commits {
                claimed.seq = claimed.seq.next();
                let written = store.commit(claimed.term, claimed.seq, Arc::clone(batch));
                written.await.unwrap();
            }
            Arc::new(store)
        }
    }

    grange_testing::history_conformance!(Bench);
}

/// Through channels.
mod transport {
    use std::sync::Arc;

    use grange_interfaces::{Endpoint, Stop};
    use grange_testing::MemoryTransport;
    use grange_testing::conformance::{Link, Serving, TransportBench};

    struct Bench;

    impl TransportBench for Bench {
        async fn connect(&self, endpoint: Arc<dyn Endpoint>) -> Link {
            let (client, server) = MemoryTransport::new();
            let (stopper, stop) = Stop::new();
            let serving = tokio::spawn(server.serve(endpoint, stop));
            let ended = async move { serving.await.unwrap() };
            Link {
                client: Arc::new(client),
                serving: Some(Serving {
                    stopper,
                    ended: Box::pin(ended),
                }),
            }
        }

        fn is_local(&self) -> bool {
            false
        }
    }

    grange_testing::transport_conformance!(Bench);
}

/// Without anything in between, as in one process.
mod direct {
    use std::sync::Arc;

    use grange_interfaces::Endpoint;
    use grange_testing::conformance::{Link, TransportBench};

    struct Bench;

    impl TransportBench for Bench {
        async fn connect(&self, client: Arc<dyn Endpoint>) -> Link {
            Link {
                client,
                serving: None,
            }
        }

        fn is_local(&self) -> bool {
            true
        }
    }

    grange_testing::transport_conformance!(Bench);
}

mod local_store {
    use std::sync::Arc;

    use grange_derivation::StoreDir;
    use grange_testing::MemoryLocalStore;
    use grange_testing::conformance::LocalStoreBench;

    struct Bench(MemoryLocalStore);

    impl LocalStoreBench for Bench {
        type Store = MemoryLocalStore;

        async fn open(&self) -> Option<Arc<MemoryLocalStore>> {
            Some(Arc::new(self.0.clone()))
        }

        fn is_ours(&self) -> bool {
            true
        }
    }

    grange_testing::local_store_conformance!(Bench(MemoryLocalStore::new(StoreDir::guix())));
}

mod builder {
    use std::sync::Arc;

    use grange_derivation::StoreDir;
    use grange_testing::conformance::{BuilderBench, Workshop};
    use grange_testing::{MemoryBuilder, MemoryLocalStore};

    struct Bench;

    impl BuilderBench for Bench {
        async fn open(&self) -> Option<Workshop> {
            let store = MemoryLocalStore::new(StoreDir::guix());
            let builder = MemoryBuilder::new(store.clone());
            let (author, processes) = (builder.clone(), builder.clone());
            Some(Workshop {
                builder: Arc::new(builder),
                store: Arc::new(store),
                derivation: Box::new(move |name, steps| author.derivation(name, steps)),
                is_running: Box::new(move |word| processes.is_running(word)),
                guard: Box::new(()),
            })
        }
    }

    grange_testing::builder_conformance!(Bench);
}
