//! Sweeps now and then.

use std::sync::Arc;
use std::time::Duration;

use grange_interfaces::Stop;

use super::sweep::sweep;
use crate::handle::Handle;
use crate::shared::Shared;

/// No more often than this, whatever the configuration says.
const LEAST: Duration = Duration::from_secs(60);

/// Sweeps until the coordinator stops. A sweep that fails is tried again with the next.
pub(crate) async fn run(shared: Arc<Shared>, handle: Handle, stop: Stop) {
    let sweeps = async {
        let mut wait = shared.config.sweep_after;
        loop {
            shared.clock.sleep(wait).await;
            match sweep(&shared, &handle, true).await {
                Ok(swept) => tracing::info!(
                    blobs = swept.blobs,
                    deleted = swept.deleted,
                    bytes = swept.bytes,
                    "swept the artifacts"
                ),
                Err(refusal) => {
                    tracing::warn!(%refusal, "artifacts that no record names stay until the next sweep");
                }
            }
            wait = shared.config.sweep_every.max(LEAST);
        }
    };
    tokio::select! {
        () = stop.stopped() => {}
        () = sweeps => {}
    }
}
