//! A machine that runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use grange_guest::client::{ClientError, Guest, VsockDevice};
use rand::RngCore as _;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::channel::{Channel, move_to_vsock};
use super::console::Console;
use super::disk::DiskFile;
use super::error::{BootError, io};
use super::plan::Plan;
use crate::qemu::{Ended, Memory, QemuCommand, QemuProcess, Qmp};

/// QEMU listens within this time.
pub(super) const LISTENS: Duration = Duration::from_secs(30);
/// After it was asked to switch off, a guest has so long to do it.
const GRACE: Duration = Duration::from_secs(15);
/// How many lines of the console an error shows.
pub(super) const LINES: usize = 8;

/// A machine that runs. Dropped, its emulator is killed.
#[derive(Debug)]
pub struct Running {
    pub(super) process: QemuProcess,
    pub(super) qmp: Qmp<UnixStream>,
    pub(super) console: Arc<Console>,
    pub(super) guest: Option<Guest>,
    cid: Option<u32>,
    directory: PathBuf,
    /// Removed after the emulator has ended.
    disk: Option<DiskFile>,
}

impl Running {
    /// Boots a machine whose sockets lie in `directory`, and waits until our program in it answers, at most for `limit`. An image
    /// without our program is not waited for.
    ///
    /// # Errors
    ///
    /// It does not come up; what the guest has printed last is part of the error.
    pub async fn boot(plan: &Plan, directory: &Path, limit: Duration) -> Result<Self, BootError> {
        if plan.channel == Channel::Vsock && !plan.image.has_guest {
            return Err(BootError::NoGuest("AF_VSOCK"));
        }
        let mut running = Self::start(plan, directory, Memory::Own).await?;
        if plan.image.has_guest {
            running.meet(limit).await?;
        }
        if let (Some(guest), Some(cid)) = (&running.guest, running.cid) {
            // The conversation by the serial port ends with this.
            running.guest = Some(move_to_vsock(guest, cid, Instant::now() + limit).await?);
        }
        Ok(running)
    }

    /// Starts QEMU and connects to it; nothing is known of the guest yet.
    pub(super) async fn start(
        plan: &Plan,
        directory: &Path,
        memory: Memory,
    ) -> Result<Self, BootError> {
        plan.prepare(directory)?;
        let disk = match (&plan.disk, &memory) {
            (None, _) | (Some(_), Memory::Clone(_)) => None,
            (Some(disk), _) => Some(disk.make(directory, plan.user).await?),
        };
        let device = plan.channel.device()?;
        let mut launch = plan.launch(directory, memory)?;
        let cid = device.as_ref().map(VsockDevice::cid);
        launch.vsock = cid;
        let command = QemuCommand::new(&launch);
        let mut process =
            QemuProcess::start(&plan.emulator, &command, plan.user, directory, device)?;
        let qmp = process.monitor(&directory.join("qmp"), LISTENS).await?;
        let socket = directory.join("console");
        let console = Console::listen(&socket).await;
        let console = console.map_err(io("connect to", socket))?;
        Ok(Self {
            process,
            qmp,
            console: Arc::new(console),
            guest: None,
            cid,
            directory: directory.to_owned(),
            disk,
        })
    }

    /// Waits until our program in the guest answers.
    pub(super) async fn meet(&mut self, limit: Duration) -> Result<&Guest, BootError> {
        let socket = self.directory.join("control");
        let stream = UnixStream::connect(&socket).await;
        let stream = stream.map_err(io("connect to", socket))?;
        let meeting = Guest::connect(stream, Instant::now() + limit);
        let met = tokio::select! {
            met = meeting => met,
            ended = self.process.wait() => return Err(self.ended(ended)),
        };
        match met {
            Ok(guest) => Ok(self.guest.insert(guest)),
            Err(ClientError::TimedOut) => Err(self.silent(limit)),
            // A QEMU that ends closes its sockets first.
            Err(error) => match timeout(Duration::from_secs(2), self.process.wait()).await {
                Ok(ended) => Err(self.ended(ended)),
                Err(_) => Err(error.into()),
            },
        }
    }

    pub(super) fn silent(&self, limit: Duration) -> BootError {
        BootError::Silent {
            limit,
            console: self.console.last_lines(LINES),
        }
    }

    fn ended(&self, ended: std::io::Result<Ended>) -> BootError {
        match ended {
            Ok(ended) => BootError::Ended {
                ended,
                console: self.console.last_lines(LINES),
            },
            Err(error) => io("wait for", "QEMU")(error),
        }
    }

    /// Our program in it, if it has one.
    #[must_use]
    pub fn guest(&self) -> Option<&Guest> {
        self.guest.as_ref()
    }

    /// Its console.
    #[must_use]
    pub fn console(&self) -> &Arc<Console> {
        &self.console
    }

    /// Where its sockets lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The emulator's process.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// What of its processor the emulator goes on without.
    #[must_use]
    pub fn missing_features(&self) -> Vec<String> {
        self.process.missing_features()
    }

    /// Its disk, which then outlives it.
    pub(super) fn take_disk(&mut self) -> Option<DiskFile> {
        self.disk.take()
    }

    /// Connects to the port by which an agent in the guest speaks to its coordinator.
    ///
    /// # Errors
    ///
    /// The emulator has ended.
    pub async fn agent_port(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.directory.join("agent")).await
    }

    /// Gives the guest randomness and a date of its own: what a clone needs before anything else.
    pub(super) async fn settle(&self, unix_seconds: i64) -> Result<(), BootError> {
        let Some(guest) = &self.guest else {
            return Ok(());
        };
        let mut seed = [0; 64];
        rand::rng().fill_bytes(&mut seed);
        guest.seed(&seed).await?;
        guest.set_clock(unix_seconds.saturating_mul(1000)).await?;
        Ok(())
    }

    /// Switches it off: asks the guest, then the emulator, then ends it.
    ///
    /// # Errors
    ///
    /// The emulator cannot even be killed.
    pub async fn shut_down(mut self) -> std::io::Result<Ended> {
        if let Some(guest) = self.guest.take() {
            // One that does not answer is switched off anyway.
            let _: Result<_, _> = timeout(GRACE, guest.power_off()).await;
            if let Ok(ended) = timeout(GRACE, self.process.wait()).await {
                return ended;
            }
        }
        self.power_cut().await
    }

    /// Ends it as if its plug was pulled.
    ///
    /// # Errors
    ///
    /// The emulator cannot even be killed.
    pub async fn power_cut(mut self) -> std::io::Result<Ended> {
        let asked = self.qmp.execute("quit", serde_json::json!({}));
        let _: Result<_, _> = timeout(Duration::from_secs(2), asked).await;
        match timeout(Duration::from_secs(5), self.process.wait()).await {
            Ok(ended) => ended,
            Err(_) => self.process.kill().await,
        }
    }
}
