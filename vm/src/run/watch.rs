//! Whether a machine is well.

use std::future::Future;
use std::time::Duration;

use tokio::time::{interval, timeout};

use super::running::{LINES, Running};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// A guest that has not answered for so long hangs. Under emulation, and with its processors busy, it may be slow.
const PATIENCE: Duration = Duration::from_secs(120);

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
                    // It has ended, or will be found to hang.
                    Err(_) => match timeout(EVERY, self.process.wait()).await {
                        Ok(ended) => {
                            let how = ended.map_or_else(|error| error.to_string(), |ended| ended.to_string());
                            return self.over(how);
                        }
                        Err(_) => return self.hangs("the emulator"),
                    },
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
        let Ok(Ok(state)) = timeout(PATIENCE, self.qmp.run_state()).await else {
            return match timeout(Duration::from_secs(2), self.process.wait()).await {
                Ok(ended) => {
                    let how =
                        ended.map_or_else(|error| error.to_string(), |ended| ended.to_string());
                    Err(self.over(how))
                }
                Err(_) => Err(self.hangs("the emulator")),
            };
        };
        if !state.is_running() {
            return Ok(Health::Stopped(state.name().to_owned()));
        }
        let Some(guest) = &self.guest else {
            return Ok(Health::Well);
        };
        let answered = tokio::select! {
            answered = timeout(PATIENCE, guest.ping()) => matches!(answered, Ok(Ok(()))),
            ended = self.process.wait() => {
                let how = ended.map_or_else(|error| error.to_string(), |ended| ended.to_string());
                return Err(self.over(how));
            }
        };
        if answered {
            Ok(Health::Well)
        } else {
            Err(self.hangs("the guest"))
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
