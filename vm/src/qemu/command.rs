//! From a machine to QEMU's command line.
//!
//! Nothing is looked up here: the same [`Launch`] makes the same arguments.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use grange_guest::{CONTROL_PORT, RELAY_PORT};
use serde::{Deserialize, Serialize};

use crate::guest_system::GuestSystem;
use crate::machine::{CpuModel, Forward, MachineName, VirtualDate};

/// All that decides how QEMU is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The machine's name: the guest's host name, too.
    pub name: MachineName,
    /// What kind of guest it is.
    pub system: GuestSystem,
    /// Its processor.
    pub cpu: CpuModel,
    /// How many.
    pub cpu_count: u32,
    /// Its memory.
    pub memory: Memory,
    /// How much of it there is, in MiB.
    pub memory_mib: u64,
    /// Its date.
    pub date: VirtualDate,
    /// What executes it.
    pub accelerator: Accelerator,
    /// What it boots.
    pub boot: Boot,
    /// Its disks, in the order in which the guest sees them.
    pub disks: Vec<Disk>,
    /// Its CID, if it has AF_VSOCK. The host's device for it is what the emulator has as its standard input.
    pub vsock: Option<u32>,
    /// Its ports.
    pub forwards: Vec<Forward>,
    /// Whether it may reach others by the host's network, which builds of fixed outputs need. If not, only what is forwarded
    /// to it comes in, and nothing goes out.
    pub network: bool,
    /// Where its sockets lie: `qmp`, `console`, `control`, `agent`.
    pub directory: PathBuf,
    /// What a user adds.
    pub further: Vec<OsString>,
}

/// What executes the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Accelerator {
    /// The processor itself, by the kernel's KVM.
    Kvm,
    /// QEMU's translator: slower, and works everywhere.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}

/// Where the guest's memory lies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Memory {
    /// In QEMU's own.
    Own,
    /// In a file that is to be a template for clones.
    Template(PathBuf),
    /// In the file of a template, copied as it is written. QEMU waits to be given the rest of the machine's state.
    Clone(PathBuf),
}

/// What the guest boots.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Boot {
    /// A kernel that QEMU loads.
    Kernel {
        /// Its file.
        kernel: PathBuf,
        /// Its initramfs.
        initrd: Option<PathBuf>,
        /// What stands on its command line after what the guest system says.
        arguments: String,
    },
    /// What is on the first disk.
    Disk,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its file.
    pub file: PathBuf,
    /// What the file is.
    pub format: DiskFormat,
    /// Whether the guest may write to it. What it writes to another one is an error for it.
    pub writable: bool,
    /// Whether what it writes is thrown away when QEMU ends.
    pub volatile: bool,
    /// Whether what the guest writes through has to be on the host's disk, which nobody needs of a file that goes with the machine.
    pub durable: bool,
}

/// What the file of a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DiskFormat {
    /// The disk's bytes.
    Raw,
    /// QEMU's own.
    Qcow2,
}

impl DiskFormat {
    /// As QEMU calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// QEMU's program, without directories, and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QemuCommand {
    /// The program, to be looked for in `PATH`, unless the user has said which.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl QemuCommand {
    /// The command that starts it.
    #[must_use]
    pub fn new(launch: &Launch) -> Self {
        let mut line = Line::default();
        line.general(launch);
        line.processor(launch);
        line.boot(launch);
        for (index, disk) in launch.disks.iter().enumerate() {
            line.disk(index, disk, &launch.system.disk);
        }
        line.channels(launch);
        line.network(launch);
        if launch.system.random {
            line.add("-object", "rng-random,id=random,filename=/dev/urandom");
            line.add("-device", "virtio-rng-pci,rng=random");
            line.add("-device", "vmgenid,guid=auto");
        }
        if matches!(launch.memory, Memory::Clone(_)) {
            line.add("-incoming", "defer");
        }
        line.0.extend(launch.further.iter().cloned());
        Self {
            program: launch.system.emulator.clone(),
            arguments: line.0,
        }
    }
}

impl fmt::Display for QemuCommand {
    /// For a shell, an option a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program)?;
        for argument in &self.arguments {
            let text = argument.to_string_lossy();
            let is_option = text.starts_with('-');
            f.write_str(if is_option { " \\\n  " } else { " " })?;
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,.:/+".contains(c);
            if !text.is_empty() && text.chars().all(plain) {
                f.write_str(&text)?;
            } else {
                write!(f, "'{}'", text.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn flag(&mut self, option: &str) {
        self.0.push(option.into());
    }

    fn add(&mut self, option: &str, value: impl Into<OsString>) {
        self.0.extend([option.into(), value.into()]);
    }

    /// An option whose value ends in a path.
    fn path(&mut self, option: &str, before: &str, path: &Path) {
        self.add(option, value(before, path, ""));
    }

    fn general(&mut self, launch: &Launch) {
        self.add("-name", launch.name.as_str());
        // What it does not say it does not have.
        self.flag("-nodefaults");
        self.flag("-no-user-config");
        self.add("-display", "none");
        self.flag("-no-reboot");
        self.add(
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        );
        // `clock=vm`: while the guest is stopped, so is its clock.
        self.add("-rtc", format!("base={},clock=vm", launch.date));
    }

    fn processor(&mut self, launch: &Launch) {
        let machine = &launch.system.machine;
        let accelerator = match launch.accelerator {
            Accelerator::Kvm => "kvm",
            Accelerator::Tcg => "tcg,thread=multi",
        };
        match &launch.memory {
            Memory::Own => self.add("-machine", machine.as_str()),
            Memory::Template(file) | Memory::Clone(file) => {
                let shared = matches!(launch.memory, Memory::Template(_));
                let before = format!(
                    "memory-backend-file,id=memory,size={}M,share={},mem-path=",
                    launch.memory_mib,
                    if shared { "on" } else { "off" }
                );
                self.path("-object", &before, file);
                self.add("-machine", format!("{machine},memory-backend=memory"));
            }
        }
        self.add("-accel", accelerator);
        self.add("-cpu", launch.cpu.as_str());
        self.add("-smp", format!("cpus={}", launch.cpu_count));
        self.add("-m", format!("{}M", launch.memory_mib));
    }

    fn boot(&mut self, launch: &Launch) {
        let Boot::Kernel {
            kernel,
            initrd,
            arguments,
        } = &launch.boot
        else {
            return;
        };
        self.add("-kernel", kernel);
        if let Some(initrd) = initrd {
            self.add("-initrd", initrd);
        }
        let hostname = format!("grange.hostname={}", launch.name);
        let always = match &launch.system.boot {
            crate::guest_system::BootWay::Kernel { arguments } => arguments.as_str(),
            crate::guest_system::BootWay::Disk => "",
        };
        // systemd sets a clock that is older than itself forward, unless it is told the time.
        let micros = launch.date.unix_seconds().saturating_mul(1_000_000);
        let clock = format!("systemd.clock_usec={micros}");
        let parts = [always, arguments, &hostname, &clock];
        let parts = parts.iter().filter(|part| !part.is_empty());
        let all: Vec<&str> = parts.copied().collect();
        self.add("-append", all.join(" "));
    }

    fn disk(&mut self, index: usize, disk: &Disk, device: &str) {
        let write = if disk.writable { "off" } else { "on" };
        let snapshot = if disk.volatile { "on" } else { "off" };
        let cache = if disk.durable { "" } else { "cache=unsafe," };
        let format = disk.format.name();
        let before = format!(
            "if=none,id=disk{index},format={format},readonly={write},snapshot={snapshot},{cache}werror=report,rerror=report,file="
        );
        self.path("-drive", &before, &disk.file);
        self.add("-device", format!("{device},drive=disk{index}"));
    }

    fn channels(&mut self, launch: &Launch) {
        let socket = |id: &str| {
            let path = launch.directory.join(id);
            value(
                &format!("socket,id={id},path="),
                &path,
                ",server=on,wait=off",
            )
        };
        self.add("-chardev", socket("console"));
        self.add("-serial", "chardev:console");
        self.add("-chardev", socket("qmp"));
        self.add("-mon", "chardev=qmp,mode=control");
        if launch.system.channel {
            self.add("-device", "virtio-serial-pci");
            for (id, port) in [("control", CONTROL_PORT), ("agent", RELAY_PORT)] {
                self.add("-chardev", socket(id));
                self.add(
                    "-device",
                    format!("virtserialport,chardev={id},name={port}"),
                );
            }
        }
        if let Some(cid) = launch.vsock {
            let device = format!("vhost-vsock-pci,guest-cid={cid},vhostfd=0");
            self.add("-device", device);
        }
    }

    fn network(&mut self, launch: &Launch) {
        let restrict = if launch.network { "off" } else { "on" };
        let mut network = format!("user,id=network,restrict={restrict}");
        for forward in &launch.forwards {
            network += &format!(
                ",hostfwd=tcp:{}:{}-:{}",
                forward.address(),
                forward.host,
                forward.guest
            );
        }
        self.add("-netdev", network);
        // No ROM: nobody boots from the network, and it takes half a second.
        let device = &launch.system.network;
        self.add("-device", format!("{device},netdev=network,romfile="));
    }
}

/// A value with a path in it: a comma of the path is doubled, as QEMU's options want it.
fn value(before: &str, path: &Path, after: &str) -> OsString {
    let mut bytes = before.as_bytes().to_vec();
    for byte in OsStr::as_bytes(path.as_os_str()) {
        bytes.extend(std::iter::repeat_n(
            *byte,
            if *byte == b',' { 2 } else { 1 },
        ));
    }
    bytes.extend(after.as_bytes());
    OsString::from_vec(bytes)
}
