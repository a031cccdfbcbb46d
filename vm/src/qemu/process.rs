//! A QEMU that runs.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use grange_guest::client::VsockDevice;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::emulator::missing_features;
use super::{Emulator, QemuCommand, Qmp, QmpError};

/// So much of what QEMU complains of is kept.
const COMPLAINTS: usize = 16 << 10;
/// An answer of QEMU's monitor comes within this time: its main loop may be busy with a slow disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who QEMU runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group; no others.
    pub gid: u32,
}

/// A QEMU that runs. It is killed when this is dropped, and when the thread that started it ends.
#[derive(Debug)]
pub struct QemuProcess {
    child: Child,
    program: PathBuf,
    complaints: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// How a QEMU ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// The end of what it complained of.
    pub complaints: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QEMU has ended: {}", self.status)?;
        match self.complaints.trim().lines().last() {
            Some(line) => write!(f, "; it says: {line}"),
            None => Ok(()),
        }
    }
}

/// A QEMU does not come up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It cannot be run.
    #[error("cannot run {}", .0.display())]
    Run(PathBuf, #[source] io::Error),
    /// It ended at once: an argument is wrong, a port in use, a file unreadable, memory short.
    #[error("{0}")]
    Ended(Ended),
    /// It cannot be asked.
    #[error("{} runs, but cannot be asked", .0.display())]
    Monitor(PathBuf, #[source] QmpError),
    /// It never listened.
    #[error("{} has not come up within {} s", .0.display(), .1.as_secs())]
    Slow(PathBuf, Duration),
}

impl QemuProcess {
    /// Starts QEMU. What it needs for a time, such as copies of disks, it keeps in `temporary`. Its standard input is the host's device of a
    /// machine with AF_VSOCK.
    ///
    /// # Errors
    ///
    /// It cannot be run.
    pub fn start(
        emulator: &Emulator,
        command: &QemuCommand,
        user: Option<User>,
        temporary: &Path,
        vsock: Option<VsockDevice>,
    ) -> Result<Self, StartError> {
        let program = emulator.program.clone();
        let mut process = Command::new(&program);
        process
            .args(&command.arguments)
            .stdin(vsock.map_or_else(Stdio::null, |device| OwnedFd::from(device).into()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TMPDIR", temporary)
            .current_dir("/")
            .process_group(0)
            .kill_on_drop(true);
        if let Some(user) = user {
            process.uid(user.uid).gid(user.gid);
        }
        super::death::die_with_parent(&mut process);
        let run = |error| StartError::Run(program.clone(), error);
        let mut child = process.spawn().map_err(run)?;
        let complaints = Arc::new(Mutex::new(String::new()));
        let errors = child.stderr.take().expect("it was asked for");
        let reader = tokio::spawn(listen(errors, Arc::clone(&complaints)));
        Ok(Self {
            child,
            program,
            complaints,
            reader: Some(reader),
        })
    }

    /// Connects to its monitor as soon as it listens.
    ///
    /// # Errors
    ///
    /// It has ended, cannot be asked, or does not listen within `limit`.
    pub async fn monitor(
        &mut self,
        socket: &Path,
        limit: Duration,
    ) -> Result<Qmp<UnixStream>, StartError> {
        let connecting = async {
            loop {
                if let Ok(stream) = UnixStream::connect(socket).await {
                    return Qmp::greet(stream, PATIENCE).await;
                }
                // There is nothing to wait on: QEMU makes the socket when it comes to it.
                sleep(Duration::from_millis(2)).await;
            }
        };
        let connected = tokio::select! {
            connected = timeout(limit, connecting) => connected,
            ended = self.child.wait() => return Err(self.ended(ended).await),
        };
        match connected {
            Ok(Ok(qmp)) => Ok(qmp),
            // One that ends closes its monitor first.
            Ok(Err(error)) => match timeout(Duration::from_secs(1), self.child.wait()).await {
                Ok(ended) => Err(self.ended(ended).await),
                Err(_) => Err(StartError::Monitor(self.program.clone(), error)),
            },
            Err(_) => Err(StartError::Slow(self.program.clone(), limit)),
        }
    }

    /// Its process id; none once it has ended and was waited for.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it ends. May be dropped and called again.
    ///
    /// # Errors
    ///
    /// It cannot be waited for.
    pub async fn wait(&mut self) -> io::Result<Ended> {
        let status = self.child.wait().await?;
        // What it said last may still be on its way.
        if let Some(reader) = self.reader.take() {
            let _: Result<_, _> = timeout(Duration::from_secs(1), reader).await;
        }
        Ok(Ended {
            status,
            complaints: self.complaints(),
        })
    }

    /// Ends it at once.
    ///
    /// # Errors
    ///
    /// It cannot be killed or waited for.
    pub async fn kill(&mut self) -> io::Result<Ended> {
        self.child.start_kill()?;
        self.wait().await
    }

    /// What it has complained of so far; the end of it, if it is long.
    #[must_use]
    pub fn complaints(&self) -> String {
        let complaints = self.complaints.lock();
        complaints.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Features of the processor that it goes on without.
    #[must_use]
    pub fn missing_features(&self) -> Vec<String> {
        missing_features(&self.complaints())
    }

    async fn ended(&mut self, waited: io::Result<ExitStatus>) -> StartError {
        match waited {
            Ok(_) => match self.wait().await {
                Ok(ended) => StartError::Ended(ended),
                Err(error) => StartError::Run(self.program.clone(), error),
            },
            Err(error) => StartError::Run(self.program.clone(), error),
        }
    }
}

/// Keeps the end of what comes.
async fn listen(mut from: impl AsyncRead + Unpin, into: Arc<Mutex<String>>) {
    let mut buffer = vec![0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let mut text = into.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if text.len() > COMPLAINTS {
            let most = text.len() - COMPLAINTS / 2;
            let cut = (most..).find(|at| text.is_char_boundary(*at));
            text.drain(..cut.unwrap_or(most));
        }
    }
}
