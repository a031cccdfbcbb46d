//! From the disk to the coordinator.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use grange_agent_core::{Backoff, Jitter};
use grange_fail_points::{Point, reach};
use grange_interfaces::{Clock, Fault, Refusal, Stop};
use grange_model::AttemptId;
use tokio::sync::Mutex;
use tracing::debug;

use super::LogFile;
use crate::calls::{Coordinator, is_void, retry_after};
use crate::pause::pause;

/// Bytes that are sent at once at most.
const MOST: usize = 1024 * 1024;
/// Bytes that are worth a message at once.
const ENOUGH: u64 = 256 * 1024;
/// How long fewer bytes wait for company.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends one attempt's log.
#[derive(Debug)]
pub(crate) struct LogSender {
    coordinator: Arc<Coordinator>,
    attempt: AttemptId,
    file: Arc<LogFile>,
    /// How much the coordinator has; none if it has to be asked.
    offset: Option<u64>,
}

impl LogSender {
    /// `fresh`: the coordinator has nothing of it.
    pub(crate) fn new(
        coordinator: Arc<Coordinator>,
        attempt: AttemptId,
        file: Arc<LogFile>,
        fresh: bool,
    ) -> Self {
        Self {
            coordinator,
            attempt,
            file,
            offset: fresh.then_some(0),
        }
    }

    /// Asks how much the coordinator has, at the next occasion.
    pub(crate) fn forget(&mut self) {
        self.offset = None;
    }

    /// How much the coordinator has.
    pub(crate) async fn offset(&mut self) -> Result<u64, Refusal> {
        if let Some(offset) = self.offset {
            return Ok(offset);
        }
        let offset = self.coordinator.log_offset(self.attempt).await?;
        self.reached(offset)
    }

    fn reached(&mut self, offset: u64) -> Result<u64, Refusal> {
        self.file.reach(offset).map_err(|error| disk(&error))?;
        self.offset = Some(offset);
        Ok(offset)
    }

    /// Sends some of what the coordinator does not have; whether that was all.
    pub(crate) async fn send_some(&mut self) -> Result<bool, Refusal> {
        let offset = self.offset().await?;
        if offset >= self.file.length() {
            return Ok(true);
        }
        let piece = self.file.read(offset, MOST).map_err(|error| disk(&error))?;
        // Until it is answered nobody knows how much has arrived.
        self.offset = None;
        let body = stream::iter([Ok(piece)]).boxed();
        reach(Point::LogSending);
        let after = self
            .coordinator
            .append_log(self.attempt, offset, body)
            .await?;
        reach(Point::LogSent);
        if after <= offset {
            let message = "the coordinator took nothing of the log";
            return Err(Refusal::busy(message, Duration::from_secs(1)));
        }
        Ok(self.reached(after)? >= self.file.length())
    }

    /// Sends all; whether there was anything to send.
    pub(crate) async fn send_all(&mut self) -> Result<bool, Refusal> {
        let before = self.offset().await?;
        while !self.send_some().await? {}
        Ok(self.offset().await? > before)
    }
}

fn disk(error: &std::io::Error) -> Refusal {
    Refusal::new(Fault::Operator, format!("the log cannot be read: {error}"))
}

/// Sends a log while it grows, until `done`. What it does not get to send is sent later.
pub(crate) async fn send_live(
    sender: Arc<Mutex<LogSender>>,
    file: Arc<LogFile>,
    clock: Arc<dyn Clock>,
    mut jitter: Jitter,
    done: Stop,
) {
    let mut backoff = Backoff::ordinary();
    let mut sent = 0;
    loop {
        tokio::select! {
            biased;
            () = done.stopped() => return,
            () = file.longer_than(sent) => {}
        }
        tokio::select! {
            biased;
            () = done.stopped() => return,
            () = file.longer_than(sent.saturating_add(ENOUGH)) => {}
            () = clock.sleep(PAUSE) => {}
        }
        let mut sender = sender.lock().await;
        match sender.send_some().await {
            Ok(_) => {
                backoff.succeeded();
                sent = sender.offset.unwrap_or(sent);
            }
            // Whether that is so, the exchange or the report will tell.
            Err(refusal) if is_void(&refusal) => return,
            Err(refusal) => {
                drop(sender);
                debug!(%refusal, "the log cannot be sent now");
                let wait = backoff.failed(&mut jitter, retry_after(&refusal));
                tokio::select! {
                    () = done.stopped() => return,
                    () = pause(&*clock, wait) => {}
                }
            }
        }
    }
}
