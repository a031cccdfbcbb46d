//! Telling work to stop.

use std::future::Future;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{BoxFuture, Shared};

/// Held by who may stop the work. Dropping it does not stop anything.
#[derive(Debug)]
pub struct Stopper(Option<oneshot::Sender<()>>);

/// Held by who does the work.
#[derive(Clone)]
pub struct Stop(Shared<BoxFuture<'static, ()>>);

impl Stop {
    /// A pair: what `Stopper::stop` was called on, `Stop::stopped` returns from.
    #[must_use]
    pub fn new() -> (Stopper, Self) {
        let (sender, receiver) = oneshot::channel();
        let wait = async move {
            if receiver.await.is_err() {
                futures::future::pending().await
            }
        };
        (Stopper(Some(sender)), Self(wait.boxed().shared()))
    }

    /// One that never stops.
    #[must_use]
    pub fn never() -> Self {
        Self(futures::future::pending().boxed().shared())
    }

    /// Returns once the work shall stop.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.clone()
    }

    /// Whether the work shall stop. A look, without waiting.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.clone().now_or_never().is_some()
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stop")
            .field("stopped", &self.is_stopped())
            .finish()
    }
}

impl Stopper {
    /// Stops the work. A second call does nothing.
    pub fn stop(&mut self) {
        if let Some(sender) = self.0.take() {
            // Nobody listens any more: the work has ended by itself.
            let _ = sender.send(());
        }
    }
}
