//! A command in a clone.

use std::path::Path;

use anyhow::Context as _;
use grange_guest::client::Guest;
use grange_guest::protocol::{Exec, Exit as GuestExit};
use grange_vm::home::Home;
use grange_vm::run::{Ending, Health};
use tokio::signal::unix::{SignalKind, signal};

use super::files::{Transfer, get, put};
use super::options::serve_options;
use crate::cli::VmRun;
use crate::failure::Exit;
use crate::output::note;

pub(super) async fn run(home: &Home, directory: &Path, args: VmRun) -> anyhow::Result<Exit> {
    let puts = args.put.iter().map(|text| Transfer::put(text));
    let puts: Vec<Transfer> = puts.collect::<Result<_, _>>()?;
    let gets = args.get.iter().map(|text| Transfer::get(text));
    let gets: Vec<Transfer> = gets.collect::<Result<_, _>>()?;
    let mut machine = home.machine(&args.name)?;
    if let Some(date) = args.date {
        machine.machine.date = date;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let options = serve_options(directory, &args.starting)?;
    let mut lent = tokio::select! {
        lent = machine.lend(&options) => lent?,
        _ = terminate.recv() => return Ok(Exit::Command(128 + 15)),
        _ = interrupt.recv() => return Ok(Exit::Command(128 + 2)),
    };
    tracing::info!(by = %lent.accelerator, "cloned");
    let guest = lent
        .running
        .guest()
        .context("the clone has no guest program")?;
    let guest = guest.clone();
    let working = async {
        for transfer in &puts {
            put(&guest, transfer).await?;
        }
        let exit = command(&guest, &args).await?;
        for transfer in &gets {
            match get(&guest, transfer).await {
                // What a command that failed was to make need not be there.
                Err(error) if !exit.is_success() => note(&crate::failure::one_line(&error)),
                done => done?,
            }
        }
        Ok::<_, anyhow::Error>(exit)
    };
    let exit = tokio::select! {
        exit = working => exit?,
        ending = lent.running.watch(std::future::pending(), tell) => {
            let ending: Ending = ending;
            return Err(anyhow::Error::from(ending).context("the clone is no more"));
        }
        _ = terminate.recv() => GuestExit::Signal(15),
        _ = interrupt.recv() => GuestExit::Signal(2),
    };
    drop(guest);
    lent.give_back().await?;
    Ok(match exit {
        GuestExit::Code(code) => Exit::Command(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
        GuestExit::Signal(signal) => Exit::Command(u8::try_from(128 + signal).unwrap_or(u8::MAX)),
    })
}

async fn command(guest: &Guest, args: &VmRun) -> anyhow::Result<GuestExit> {
    let (program, arguments) = args.command.split_first().context("there is no command")?;
    let mut exec = Exec::new(program)
        .args(arguments)
        .directory(&args.directory);
    exec = exec.env("HOME", "/root").env("TERM", "dumb");
    for variable in &args.environment {
        exec = exec.env(&variable.key, &variable.value);
    }
    if let Some(user) = &args.user {
        exec = exec.user(user);
    }
    let mut running = guest.run(exec).await?;
    let stdout = running.stdout.take().context("the command has no output")?;
    let stderr = running
        .stderr
        .take()
        .context("the command has no output for errors")?;
    // Where nobody reads it any more, the command is ended, as by a pipe that is closed.
    tokio::try_join!(
        show(stdout, tokio::io::stdout()),
        show(stderr, tokio::io::stderr())
    )?;
    Ok(running.wait().await?)
}

/// What its user would not find out from what fails in the guest.
fn tell(health: Health) {
    if health == (Health::Disk { full: true }) {
        note("the guest cannot write to its disk: this host's is full");
    }
}

/// Copies as it comes, so that somebody who looks sees it at once.
async fn show(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
) -> std::io::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut buffer = vec![0; 32 << 10];
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(()),
            count => to.write_all(&buffer[..count]).await?,
        }
        to.flush().await?;
    }
}
