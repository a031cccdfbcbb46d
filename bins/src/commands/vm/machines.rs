//! Machines that are kept.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use grange_vm::home::{Home, KeyOptions, MachineHome, State, Status};
use grange_vm::machine::{MachineName, VirtualBuildMachine};
use serde::Serialize;

use crate::cli::{VmCreate, VmSsh};
use crate::failure::{self, Exit};
use crate::output::{Output, note, table};
use crate::sizes::show_size;

/// Where Guix has its signing key.
const HOST_KEY: &str = "/etc/guix/signing-key.pub";
/// The guest's port of ssh.
const SSH: u16 = 22;

/// A machine and what it does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    #[serde(flatten)]
    machine: VirtualBuildMachine,
    status: Status,
}

pub(super) fn create(home: &Home, args: VmCreate, output: Output) -> anyhow::Result<Exit> {
    let mut machine = VirtualBuildMachine::new(args.name);
    machine.date = args.date.unwrap_or(machine.date);
    machine.cpu = args.cpu;
    machine.cpu_count = args.cpu_count.unwrap_or(machine.cpu_count);
    machine.memory = args.memory.unwrap_or(machine.memory);
    machine.disk_size = args.disk_size;
    machine.forwards = Some(args.forwards).filter(|forwards| !forwards.is_empty());
    if !args.systems.is_empty() {
        machine.systems = args.systems;
    }
    machine.image = args.image.unwrap_or(machine.image);
    machine.kernel = args.kernel.map(absolute).transpose()?;
    machine.qemu = match args.qemu {
        // A name without directories is looked for in PATH.
        Some(qemu) if qemu.components().count() > 1 => Some(absolute(qemu)?),
        qemu => qemu,
    };
    machine.auto_start = args.auto_start;
    let created = home.create(&machine)?;
    if !args.no_keys {
        let mut host_keys = args.trust;
        if host_keys.is_empty() && Path::new(HOST_KEY).exists() {
            host_keys.push(HOST_KEY.into());
        }
        let keys = KeyOptions {
            host_keys,
            host_acl: args.host_acl.clone(),
        };
        let files = created.make_keys(&keys).with_context(|| {
            format!(
                "the machine {} is there, but has no keys; destroy it and create it anew",
                machine.name
            )
        })?;
        if args.host_acl.is_none() && Path::new("/etc/guix/acl").exists() {
            note(&format!(
                "for this host's guix-daemon to accept what the guest builds: guix archive --authorize < {}",
                files.signing_key.display()
            ));
        }
    }
    output.value(&created.machine, |machine| describe(machine, &created))?;
    Ok(Exit::Done)
}

fn describe(machine: &VirtualBuildMachine, created: &MachineHome) -> String {
    format!(
        "{} is made: {} ({})",
        machine.name,
        summary(machine),
        created.directory().join("machine.toml").display()
    )
}

fn summary(machine: &VirtualBuildMachine) -> String {
    let cpu = machine
        .guest_system()
        .and_then(|system| machine.cpu(&system));
    let cpu = cpu.map_or_else(|error| error.to_string(), |cpu| cpu.to_string());
    let disk = machine.disk_size.map(show_size);
    let disk = disk.map_or_else(String::new, |size| format!(", a disk of {size}"));
    format!(
        "{}, {} x {cpu}, {} MiB{disk}, {}",
        machine.date, machine.cpu_count, machine.memory, machine.image
    )
}

pub(super) fn list(home: &Home, output: Output) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    for name in home.names()? {
        let machine = home.machine(&name)?;
        let status = machine.status()?;
        if output.is_json() {
            let shown = Shown {
                machine: machine.machine,
                status,
            };
            output.value(&shown, |_| String::new())?;
        } else {
            rows.push(vec![
                name.to_string(),
                status.state.name().to_owned(),
                summary(&machine.machine),
            ]);
        }
    }
    if !rows.is_empty() {
        output.line(&table(&["NAME", "STATE", "MACHINE"], &rows))?;
    }
    Ok(Exit::Done)
}

pub(super) fn status(home: &Home, name: &MachineName, output: Output) -> anyhow::Result<Exit> {
    let machine = home.machine(name)?;
    let status = machine.status()?;
    let running = matches!(status.state, State::Running | State::Starting);
    let shown = Shown {
        machine: machine.machine,
        status,
    };
    output.value(&shown, text)?;
    Ok(if running { Exit::Done } else { Exit::Error })
}

fn text(shown: &Shown) -> String {
    let status = &shown.status;
    let mut lines = vec![format!("{}: {}", shown.machine.name, status.state.name())];
    let mut add = |key: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {key:<12} {value}"));
        }
    };
    add("machine", summary(&shown.machine));
    let executed = status.accelerator.as_ref().map(ToString::to_string);
    add("executed by", executed.unwrap_or_default());
    add("lacks", status.missing_features.join(" "));
    add("kernel", status.kernel.clone().unwrap_or_default());
    let processes = [("supervisor", status.supervisor), ("QEMU", status.emulator)];
    let processes = processes
        .iter()
        .filter_map(|(what, id)| Some(format!("{what} {}", (*id)?)));
    add("processes", processes.collect::<Vec<_>>().join(", "));
    add("says", status.text.clone());
    lines.join("\n")
}

pub(super) async fn destroy(home: &Home, name: &MachineName) -> anyhow::Result<Exit> {
    home.machine(name)?.destroy().await?;
    Ok(Exit::Done)
}

/// Becomes ssh.
pub(super) fn ssh(home: &Home, args: VmSsh) -> anyhow::Result<Exit> {
    let machine = home.machine(&args.name)?;
    if machine.status()?.state != State::Running {
        return Err(grange_vm::home::HomeError::Stopped(args.name).into());
    }
    let system = machine.machine.guest_system()?;
    let forwards = machine.machine.forwards(&system);
    let forward = forwards.iter().find(|forward| forward.guest == SSH);
    let forward = forward.ok_or_else(|| {
        failure::config(format!(
            "no port of this host leads to port {SSH} of {}",
            args.name
        ))
    })?;
    let keys = machine.keys();
    if !keys.offload.exists() {
        return Err(failure::config(format!(
            "the machine {} was made without keys",
            args.name
        )));
    }
    let known = machine.directory().join("keys/known_hosts");
    let key = std::fs::read_to_string(&keys.host_key)
        .with_context(|| format!("cannot read {}", keys.host_key.display()))?;
    std::fs::write(&known, format!("{} {key}", args.name))
        .with_context(|| format!("cannot write {}", known.display()))?;
    let mut command = Command::new("ssh");
    command
        .args(["-F", "none", "-i"])
        .arg(&keys.offload)
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-o")
        .arg(format!("HostKeyAlias={}", args.name))
        .args(["-o", "IdentitiesOnly=yes", "-p"])
        .arg(forward.host.to_string())
        .arg(format!("{}@{}", args.user, forward.address()))
        .args(&args.command);
    Err(anyhow::Error::from(command.exec()).context("cannot run ssh"))
}

fn absolute(path: PathBuf) -> anyhow::Result<PathBuf> {
    std::path::absolute(&path).with_context(|| format!("cannot find {}", path.display()))
}
