//! From the builder to the disk.

use std::sync::Arc;
use std::time::Duration;

use grange_interfaces::{Clock, LogReceiver, Stop};
use grange_model::AttemptId;
use tracing::warn;

use super::LogFile;

/// How long to wait before a full disk is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes all that comes. While the disk is full the build waits: what it says is not lost, unless
/// it is stopped.
pub(crate) async fn pump(
    attempt: AttemptId,
    mut receiver: LogReceiver,
    file: Arc<LogFile>,
    clock: Arc<dyn Clock>,
    stop: Stop,
) {
    let mut failing = false;
    while let Some(piece) = receiver.next().await {
        while let Err(error) = file.append(&piece) {
            if !failing {
                warn!(%attempt, %error, "the log cannot be written: the build waits");
            }
            failing = true;
            tokio::select! {
                biased;
                () = stop.stopped() => break,
                () = clock.sleep(PAUSE) => {}
            }
        }
        failing = false;
    }
}
