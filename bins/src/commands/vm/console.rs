//! The console.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Context as _;
use grange_vm::home::{CONSOLE_SOCKET, Home, HomeError};
use grange_vm::machine::MachineName;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::failure::Exit;
use crate::output::note;

/// Ctrl-].
const LEAVE: u8 = 0x1d;
/// When nothing more is typed, the console is looked at until it has said nothing for so long.
const QUIET: Duration = Duration::from_secs(1);
/// And no longer than this, whatever it says.
const LAST: Duration = Duration::from_secs(10);

/// A terminal that passes on every key, until this is dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> anyhow::Result<Option<Self>> {
        let terminal = std::io::stdin();
        if !terminal.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // If the terminal is gone, nobody misses it.
        let _: rustix::io::Result<()> = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

pub(super) async fn attach(home: &Home, name: &MachineName) -> anyhow::Result<Exit> {
    let machine = home.machine(name)?;
    let socket = machine.run_directory().join(CONSOLE_SOCKET);
    let stream = match UnixStream::connect(&socket).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(error).with_context(|| format!("cannot open {}", socket.display()));
        }
        Err(_) => return Err(HomeError::Stopped(name.clone()).into()),
    };
    if std::io::stdin().is_terminal() {
        note("Ctrl-] leaves the console");
    }
    let _raw = Raw::enter()?;
    let (mut from, mut into) = stream.into_split();
    let mut output = tokio::io::stdout();
    let mut show = async |limit: Option<Duration>| {
        let mut buffer = [0; 4096];
        loop {
            let reading = from.read(&mut buffer);
            let count = match limit {
                None => reading.await?,
                Some(limit) => match timeout(limit, reading).await {
                    Ok(read) => read?,
                    Err(_) => return Ok::<_, std::io::Error>(()),
                },
            };
            if count == 0 {
                return Ok(());
            }
            output.write_all(&buffer[..count]).await?;
            output.flush().await?;
        }
    };
    let typed = async {
        let mut input = tokio::io::stdin();
        let mut buffer = [0; 256];
        loop {
            let count = input.read(&mut buffer).await?;
            let typed = &buffer[..count];
            let leave = typed.iter().position(|byte| *byte == LEAVE);
            into.write_all(&typed[..leave.unwrap_or(count)]).await?;
            if leave.is_some() || count == 0 {
                return Ok::<_, std::io::Error>(leave.is_some());
            }
        }
    };
    let has_left = tokio::select! {
        done = show(None) => return done.map(|()| Exit::Done).map_err(Into::into),
        left = typed => left?,
    };
    if !has_left && let Ok(shown) = timeout(LAST, show(Some(QUIET))).await {
        shown?;
    }
    Ok(Exit::Done)
}
