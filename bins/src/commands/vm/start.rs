//! Starting and stopping.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use grange_vm::home::{Home, HomeError, MachineHome, State, Status};
use grange_vm::machine::MachineName;
use grange_vm::run::{Channel, Ending};
use rustix::process::{Pid, Signal, kill_process};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::options::serve_options;
use crate::cli::{ChannelArg, VmStart};
use crate::coordinator::tell_manager;
use crate::failure::{self, Exit};
use crate::output::{Output, note};

/// How often it is looked whether a machine is up, or down.
const LOOK: Duration = Duration::from_millis(50);
/// A machine is down within this time after its supervisor was told to stop it.
const DOWN: Duration = Duration::from_secs(60);

pub(super) async fn start(
    home: &Home,
    directory: &Path,
    args: VmStart,
    output: Output,
) -> anyhow::Result<Exit> {
    if args.foreground {
        let name = args.name.as_ref().expect("clap demands it");
        return stay(&home.machine(name)?, directory, &args).await;
    }
    let names = match &args.name {
        Some(name) => vec![name.clone()],
        None => home.names()?,
    };
    let mut exit = Exit::Done;
    for name in names {
        let machine = home.machine(&name)?;
        if args.all && (!machine.machine.auto_start || is_up(&machine)?) {
            continue;
        }
        match in_background(&machine, directory, &args).await {
            Ok(status) => output.value(&status, |status| {
                let by = status.accelerator.as_ref().map(ToString::to_string);
                format!("{name} runs ({})", by.unwrap_or_default())
            })?,
            // The others are started all the same.
            Err(error) if args.all => {
                note(&failure::one_line(&error));
                exit = Exit::Error;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(exit)
}

fn is_up(machine: &MachineHome) -> anyhow::Result<bool> {
    let state = machine.status()?.state;
    Ok(!matches!(state, State::Stopped | State::Failed))
}

/// Starts this program once more, to look after the machine, and waits until the machine is up.
async fn in_background(
    machine: &MachineHome,
    directory: &Path,
    args: &VmStart,
) -> anyhow::Result<Status> {
    let name = &machine.machine.name;
    if is_up(machine)? {
        return Err(HomeError::Runs(name.clone()).into());
    }
    let path = machine.directory().join("supervisor.log");
    // Of two that start it at once, one loses, and says so at the end of it.
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&path);
    let log = log.with_context(|| format!("cannot write {}", path.display()))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("vm").arg("--vm-dir").arg(directory);
    command.args(["start", name.as_str(), "--foreground", "--limit"]);
    command.arg(format!("{}s", args.starting.limit.as_secs().max(1)));
    if let Some(accelerator) = args.starting.accelerator {
        let word = clap::ValueEnum::to_possible_value(&accelerator);
        command.arg("--accelerator");
        command.arg(word.expect("none is hidden").get_name());
    }
    if args.channel == ChannelArg::Vsock {
        command.args(["--channel", "vsock"]);
    }
    if args.starting.network {
        command.arg("--network");
    }
    if !args.qemu_arguments.is_empty() {
        command.arg("--").args(&args.qemu_arguments);
    }
    let before = log.metadata()?.len();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("cannot start what looks after the machine")?;
    loop {
        if let Some(status) = child.try_wait()? {
            let said = std::fs::read(&path).unwrap_or_default();
            let said = said.get(usize::try_from(before)?..).unwrap_or_default();
            match String::from_utf8_lossy(said).trim() {
                "" => bail!("what looked after the machine {name} has ended: {status}"),
                said => bail!("{}", said.strip_prefix("grange: ").unwrap_or(said)),
            }
        }
        let status = machine.status()?;
        // One that was there before is not this one's.
        if status.state == State::Running && status.supervisor == Some(child.id()) {
            return Ok(status);
        }
        sleep(LOOK).await;
    }
}

/// Looks after the machine until it ends, or until this is told to stop.
async fn stay(machine: &MachineHome, directory: &Path, args: &VmStart) -> anyhow::Result<Exit> {
    let mut options = serve_options(directory, &args.starting)?;
    options.channel = match args.channel {
        ChannelArg::Serial => Channel::Serial,
        ChannelArg::Vsock => Channel::Vsock,
    };
    options.further.clone_from(&args.qemu_arguments);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let served = machine.serve(&options, stop, |status| match status.state {
        State::Running => {
            tell_manager(&[NotifyState::Ready]);
            if !status.text.is_empty() {
                note(&status.text);
            }
        }
        State::Stopping => tell_manager(&[NotifyState::Stopping]),
        _ => {}
    });
    match served.await?.ending {
        Ending::Asked => Ok(Exit::Done),
        ending => Err(anyhow::Error::from(ending)
            .context(format!("the machine {} is no more", machine.machine.name))),
    }
}

pub(super) async fn stop(home: &Home, name: &MachineName) -> anyhow::Result<Exit> {
    let machine = home.machine(name)?;
    let status = machine.status()?;
    let supervisor = status
        .supervisor
        .filter(|_| is_up(&machine).unwrap_or_default());
    let pid = supervisor.and_then(|id| Pid::from_raw(id.cast_signed()));
    let Some(pid) = pid else {
        return Err(HomeError::Stopped(name.clone()).into());
    };
    kill_process(pid, Signal::TERM)
        .context("cannot tell what looks after the machine to stop it")?;
    let end = Instant::now() + DOWN;
    while is_up(&machine)? {
        if Instant::now() > end {
            bail!(
                "the machine {name} has not stopped within {} s",
                DOWN.as_secs()
            );
        }
        sleep(LOOK).await;
    }
    Ok(Exit::Done)
}
