//! Running a plan: starts the helper, passes the log on, minds the limits, and leaves no process behind.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::BytesMut;
use grange_interfaces::{Log, Stop};
use grange_model::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::config::Helper;
use crate::plan::{End, Plan, Report, decode_frame, encode_frame, frame_length};

/// Bytes that are read of the log at once.
const LOG_PIECE: usize = 64 * 1024;

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ran {
    Ended {
        end: End,
        /// The most bytes of memory that any one process of it had.
        peak_memory: u64,
    },
    /// It took too long.
    Timeout,
    /// It was silent for too long.
    Silence,
    /// It wrote too much log.
    TooMuchLog,
    Stopped,
}

/// What a run needs besides its plan.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    pub helper: &'a Helper,
    pub limits: Limits,
    pub max_log_bytes: Option<u64>,
    pub stop: &'a Stop,
}

impl Runner<'_> {
    /// Runs a plan to its end. When this returns or is dropped, none of its processes is left.
    pub(crate) async fn run(&self, plan: &Plan, log: &mut Log) -> io::Result<Ran> {
        let (mut running, output) = Running::start(self.helper)?;
        let activity = Activity::new();
        let outcome = {
            let Some(control) = &mut running.control else {
                unreachable!("it was just made")
            };
            let said = async {
                control.write_all(&encode_frame(plan)?).await?;
                hear(control, &activity).await
            };
            let log = copy_log(output, log, &activity, self.max_log_bytes);
            let all = async { tokio::try_join!(async { said.await.map_err(Cut::Io) }, log) };
            tokio::select! {
                biased;
                () = self.stop.stopped() => Ok(Ran::Stopped),
                ended = all => match ended {
                    Ok((ended, ())) => Ok(ended),
                    Err(Cut::TooMuchLog) => Ok(Ran::TooMuchLog),
                    Err(Cut::Io(error)) => Err(error),
                },
                ran = activity.watch(self.limits) => Ok(ran),
            }
        };
        // The helper has ended, or ends now; either takes no time that is worth waiting on elsewhere.
        running.end();
        outcome
    }
}

/// A helper that runs. Ends it when it is dropped, and waits for that: some milliseconds.
struct Running {
    child: Child,
    /// Its closing means: kill the build.
    control: Option<UnixStream>,
}

impl Running {
    fn start(helper: &Helper) -> io::Result<(Self, pipe::Receiver)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (output, input) = io::pipe()?;
        let child = Command::new(helper.program())
            .arg(helper.argument())
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(input.try_clone()?)
            .stderr(input)
            .spawn()
            .map_err(|error| {
                let program = helper.program();
                io::Error::new(
                    error.kind(),
                    format!("the helper {} cannot be run: {error}", program.display()),
                )
            })?;
        let mut running = Self {
            child,
            control: None,
        };
        running.control = Some(UnixStream::from_std(ours)?);
        Ok((running, pipe::Receiver::from_owned_fd(output.into())?))
    }

    fn end(&mut self) {
        if self.control.take().is_some() {
            let _ = self.child.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

async fn hear(control: &mut UnixStream, activity: &Activity) -> io::Result<Ran> {
    loop {
        let mut length = [0; 4];
        control.read_exact(&mut length).await.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                "the helper ended without a word: it was killed, or the program does not call init_main",
            ),
            _ => error,
        })?;
        let mut frame = vec![0; frame_length(length)?];
        control.read_exact(&mut frame).await?;
        match decode_frame(&frame)? {
            Report::Started => activity.started(),
            Report::Ended { end, peak_memory } => return Ok(Ran::Ended { end, peak_memory }),
        }
    }
}

/// Why the log was cut off.
enum Cut {
    TooMuchLog,
    Io(io::Error),
}

async fn copy_log(
    mut output: pipe::Receiver,
    log: &mut Log,
    activity: &Activity,
    most: Option<u64>,
) -> Result<(), Cut> {
    let mut size: u64 = 0;
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(LOG_PIECE);
        let count = output.read_buf(&mut buffer).await.map_err(Cut::Io)?;
        if count == 0 {
            return Ok(());
        }
        size += count as u64;
        if most.is_some_and(|most| size > most) {
            return Err(Cut::TooMuchLog);
        }
        // While nobody takes what was said, the build cannot say more: that is not its silence.
        activity.hold();
        log.write(buffer.split().freeze()).await;
        activity.seen();
    }
}

/// When the build began and last said something.
struct Activity(watch::Sender<Moments>);

#[derive(Clone, Copy, Default)]
struct Moments {
    started: Option<Instant>,
    last: Option<Instant>,
    /// Whether a piece of log is being handed over.
    held: bool,
}

impl Activity {
    fn new() -> Self {
        Self(watch::Sender::new(Moments::default()))
    }

    fn started(&self) {
        let now = Some(Instant::now());
        self.0
            .send_modify(|moments| (moments.started, moments.last) = (now, now));
    }

    fn hold(&self) {
        self.0.send_modify(|moments| moments.held = true);
    }

    fn seen(&self) {
        self.0
            .send_modify(|moments| (moments.last, moments.held) = (Some(Instant::now()), false));
    }

    /// Returns when a limit is passed.
    async fn watch(&self, limits: Limits) -> Ran {
        let mut changed = self.0.subscribe();
        loop {
            let Moments {
                started,
                last,
                held,
            } = *changed.borrow_and_update();
            let Some(started) = started else {
                let _ = changed.changed().await;
                continue;
            };
            let end = started.checked_add(Duration::from_millis(limits.timeout_ms));
            let silent = last
                .filter(|_| !held)
                .and_then(|last| last.checked_add(Duration::from_millis(limits.max_silent_ms)));
            tokio::select! {
                () = until(end) => return Ran::Timeout,
                () = until(silent) => return Ran::Silence,
                _ = changed.changed() => {}
            }
        }
    }
}

/// Waits for a moment; for ever if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
