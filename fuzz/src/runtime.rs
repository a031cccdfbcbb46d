//! Where servers and clients run.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// So long an answer may take: far longer than it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One for all targets.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).enable_all();
        builder.build().expect("a thread can be started")
    })
}
