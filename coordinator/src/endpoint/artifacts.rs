//! The operator sees to what is kept.

use std::future::Future;

use grange_interfaces::message::{Answer, Held, PruneRequest, SweepView};
use grange_interfaces::{Fault, Refusal};

use super::dispatch::{Answered, CoordinatorEndpoint};
use crate::retain::{self, Swept};

impl CoordinatorEndpoint {
    pub(crate) async fn sweep(&self, delete: bool) -> Result<Swept, Refusal> {
        let endpoint = self.clone();
        let work = async move { retain::sweep(&endpoint.shared, &endpoint.handle, delete).await };
        to_the_end("the sweep", work).await
    }

    pub(super) async fn sweep_view(&self, delete: bool) -> Answered {
        let swept = self.sweep(delete).await?;
        let view = SweepView {
            blobs: swept.blobs,
            unreferenced: Held {
                count: swept.unreferenced,
                bytes: swept.bytes,
            },
            deleted: delete,
        };
        Ok((Answer::Swept(view), None))
    }

    pub(super) async fn prune(&self, request: PruneRequest) -> Answered {
        let endpoint = self.clone();
        let work = async move { retain::prune(&endpoint.shared, &endpoint.handle, request).await };
        Ok((Answer::Pruned(to_the_end("the prune", work).await?), None))
    }

    pub(super) async fn held(&self) -> Answered {
        let endpoint = self.clone();
        let work = async move { retain::held(&endpoint.shared, &endpoint.handle).await };
        Ok((Answer::Held(to_the_end("counting", work).await?), None))
    }
}

/// Goes on even if the caller does not wait for it.
async fn to_the_end<T: Send + 'static>(
    what: &str,
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    let failed = |error| Refusal::new(Fault::Us, format!("{what} failed: {error}"));
    tokio::spawn(work).await.map_err(failed)?
}
