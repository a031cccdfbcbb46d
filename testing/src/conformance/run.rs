//! Running cases.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// How long a case may take. What has not ended by then never will, and has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A runtime that is given up with all that still runs in it, so that what hangs holds up nobody.
struct Bounded(Option<Runtime>);

impl Bounded {
    fn new(builder: &mut Builder) -> Self {
        let runtime = builder.enable_all().build();
        Self(Some(runtime.expect("the test can start threads")))
    }

    fn run(&self, case: impl Future<Output = ()>) {
        let Some(runtime) = &self.0 else { return };
        let ended = runtime.block_on(async { tokio::time::timeout(PATIENCE, case).await });
        assert!(ended.is_ok(), "the case has not ended after {PATIENCE:?}");
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs a case on two threads, for at most [`PATIENCE`].
///
/// # Panics
///
/// As the case does, if it takes longer, or if no thread can be started.
pub fn run(case: impl Future<Output = ()>) {
    Bounded::new(Builder::new_multi_thread().worker_threads(2)).run(case);
}

/// Whether a case fails, on one thread and in virtual time: where everything waits, the clock is set
/// forward, so that what hangs in memory has failed at once.
#[must_use]
pub fn fails(case: impl Future<Output = ()>) -> bool {
    let runtime = Bounded::new(Builder::new_current_thread().start_paused(true));
    catch_unwind(AssertUnwindSafe(|| runtime.run(case))).is_err()
}
