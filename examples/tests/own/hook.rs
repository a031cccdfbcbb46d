//! The hook of the examples keeps the contract.

use std::sync::Arc;

use grange::interfaces::Hook;
use grange_examples::pager::Pager;
use grange_testing::conformance::HookBench;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

struct Bench(UnboundedSender<String>, UnboundedReceiver<String>);

impl Bench {
    fn new() -> Self {
        let (pages, carried) = unbounded_channel();
        Self(pages, carried)
    }
}

impl HookBench for Bench {
    async fn open(&self) -> Arc<dyn Hook> {
        assert!(!self.1.is_closed(), "somebody carries the pager");
        Arc::new(Pager {
            pages: self.0.clone(),
        })
    }
}

grange_testing::hook_conformance!(Bench::new());
