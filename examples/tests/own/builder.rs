//! The builder of the examples keeps the contract, around a builder in memory.

use std::sync::Arc;

use grange::derivation::StoreDir;
use grange_examples::licensed::Licensed;
use grange_testing::conformance::{BuilderBench, Workshop};
use grange_testing::{MemoryBuilder, MemoryLocalStore};

struct Bench;

impl BuilderBench for Bench {
    async fn open(&self) -> Option<Workshop> {
        let store = MemoryLocalStore::new(StoreDir::guix());
        let inner = MemoryBuilder::new(store.clone());
        let (author, processes) = (inner.clone(), inner.clone());
        Some(Workshop {
            builder: Arc::new(Licensed::new(inner, 8)),
            store: Arc::new(store),
            derivation: Box::new(move |name, steps| author.derivation(name, steps)),
            is_running: Box::new(move |word| processes.is_running(word)),
            guard: Box::new(()),
        })
    }
}

grange_testing::builder_conformance!(Bench);
