//! A builder around another one.

use async_trait::async_trait;
use grange::interfaces::{BuildError, Builder, Built, Job, Log, Offers, Stop};
use tokio::sync::Semaphore;

/// Runs at most as many builds at once as there are licences.
#[derive(Debug)]
pub struct Licensed<B> {
    inner: B,
    licences: Semaphore,
}

impl<B> Licensed<B> {
    /// So many of them.
    pub fn new(inner: B, licences: usize) -> Self {
        Self {
            inner,
            licences: Semaphore::new(licences),
        }
    }
}

#[async_trait]
impl<B: Builder> Builder for Licensed<B> {
    fn offers(&self) -> Offers {
        self.inner.offers()
    }

    async fn build(&self, job: &Job, log: Log, stop: Stop) -> Result<Built, BuildError> {
        let _licence = tokio::select! {
            licence = self.licences.acquire() => licence,
            () = stop.stopped() => return Err(BuildError::Stopped),
        };
        self.inner.build(job, log, stop).await
    }
}
