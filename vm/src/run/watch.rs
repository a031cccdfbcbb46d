//! Whether a machine is well.

use std::future::Future;
use std::time::Duration;

use tokio::time::{interval, timeout};

use super::running::{LINES, Running};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// A guest that has not answered for so long hangs. Under emulation, and with its processors busy, it may be slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// An emulator that closes its connections has ended within this time.
const GOING: Duration = Duration::from_secs(5);

/// How a machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It runs, and our program in it answers, if it has one.
    Well,
    /// It is stopped, as the emulator says: `paused`, `io-error`, ….
    Stopped(String),
    /// The guest could not write to its disk; true if the host's is full.
    Disk {
        /// Whether the host has no room.
        full: bool,
    },
}

/// Why a machine is no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ending {
    /// Whoever watched was told to stop.
    #[error("it was asked to stop")]
    Asked,
    /// The guest switched itself off, or its emulator died.
    #[error("{how}; the end of its console:\n{console}")]
    Ended {
        /// How.
        how: String,
        /// What the guest has printed last.
        console: String,
    },
    /// The emulator runs, but what one speaks to in it is gone.
    #[error("{what} cannot be spoken to any more: {why}; the end of its console:\n{console}")]
    Lost {
        /// The guest, or its emulator.
        what: &'static str,
        /// How that ended.
        why: String,
        /// What the guest has printed last.
        console: String,
    },
    /// It hangs.
    #[error("{what} has not answered for {} s; the end of its console:\n{console}", after.as_secs())]
    Hangs {
        /// The guest, or its emulator.
        what: &'static str,
        /// How long.
        after: Duration,
        /// What the guest has printed last.
        console: String,
    },
}

impl Running {
    /// Watches until it ends, hangs, or `stop` is ready. Says how it is whenever that changes.
    pub async fn watch(
        &mut self,
        stop: impl Future<Output = ()>,
        mut tell: impl FnMut(Health),
    ) -> Ending {
        tokio::pin!(stop);
        let mut ticks = interval(EVERY);
        let mut last = None;
        loop {
            let health = tokio::select! {
                () = &mut stop => return Ending::Asked,
                ended = self.process.wait() => {
                    let how = ended.map_or_else(|error| error.to_string(), |ended| ended.to_string());
                    return self.over(how);
                }
                event = self.qmp.event() => match event {
                    Ok(event) if event.event == "BLOCK_IO_ERROR" => {
                        let full = event.data.get("nospace").and_then(serde_json::Value::as_bool);
                        Health::Disk { full: full.unwrap_or_default() }
                    }
                    Ok(_) => continue,
                    Err(error) => return self.lost("the emulator", &error).await,
                },
                _ = ticks.tick() => tokio::select! {
                    // Whoever hangs is stopped all the same.
                    () = &mut stop => return Ending::Asked,
                    looked = self.look() => match looked {
                        Ok(health) => health,
                        Err(ending) => return ending,
                    },
                },
            };
            if last.as_ref() != Some(&health) {
                tell(health.clone());
                last = Some(health);
            }
        }
    }

    async fn look(&mut self) -> Result<Health, Ending> {
        let state = match timeout(PATIENCE, self.qmp.run_state()).await {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => return Err(self.lost("the emulator", &error).await),
            Err(_) => return Err(self.hangs("the emulator")),
        };
        if !state.is_running() {
            return Ok(Health::Stopped(state.name().to_owned()));
        }
        let Some(guest) = &self.guest else {
            return Ok(Health::Well);
        };
        let answered = tokio::select! {
            answered = timeout(PATIENCE, guest.ping()) => answered,
            ended = self.process.wait() => {
                let how = ended.map_or_else(|error| error.to_string(), |ended| ended.to_string());
                return Err(self.over(how));
            }
        };
        match answered {
            Ok(Ok(())) => Ok(Health::Well),
            Ok(Err(error)) => Err(self.lost("the guest", &error).await),
            Err(_) => Err(self.hangs("the guest")),
        }
    }

    /// A connection has ended. An emulator that ends closes its own first, and that is what is told then.
    async fn lost(&mut self, what: &'static str, why: &dyn std::error::Error) -> Ending {
        match timeout(GOING, self.process.wait()).await {
            Ok(ended) => {
                let how = ended.map_or_else(|error| error.to_string(), |ended| ended.to_string());
                self.over(how)
            }
            Err(_) => Ending::Lost {
                what,
                why: why.to_string(),
                console: self.console.last_lines(LINES),
            },
        }
    }

    fn over(&self, how: String) -> Ending {
        Ending::Ended {
            how,
            console: self.console.last_lines(LINES),
        }
    }

    fn hangs(&self, what: &'static str) -> Ending {
        Ending::Hangs {
            what,
            after: PATIENCE,
            console: self.console.last_lines(LINES),
        }
    }
}
