//! A machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{CpuModel, Forward, MachineName, VirtualDate};
use crate::guest_system::GuestSystem;

/// Less memory than this no kernel of ours boots with, in MiB.
const LEAST_MEMORY: u64 = 128;
/// More than this nobody has, in MiB.
const MOST_MEMORY: u64 = 16 << 20;
/// A smaller disk than this would be full at once, in MiB.
const LEAST_DISK: u64 = 64;
/// A file system with blocks of 4 KiB and 32-bit numbers has no more, in MiB.
const MOST_DISK: u64 = (16 << 20) - 1;
/// As many processors QEMU's `q35` knows without further ado.
const MOST_CPUS: u32 = 255;

/// A virtual build machine, as its user wants it: what Guix's `<virtual-build-machine>` says, with its defaults. In TOML, the keys have
/// hyphens: `cpu-count`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VirtualBuildMachine {
    /// What it is called.
    pub name: MachineName,
    /// What it boots: a name or the beginning of the id of an image. Default: `debian-12`.
    #[serde(default = "default_image")]
    pub image: String,
    /// QEMU's program. Default: the guest system's, where `PATH` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qemu: Option<PathBuf>,
    /// The kernel to boot in place of the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<PathBuf>,
    /// The processor. Default: the one that was new at `date`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuModel>,
    /// How many processors. Default: 4.
    #[serde(default = "default_cpu_count")]
    pub cpu_count: u32,
    /// How much memory, in MiB. Default: 2,048. What is written in the guest counts, too, unless there is a `disk_size`.
    #[serde(default = "default_memory")]
    pub memory: u64,
    /// How large the disk is that what is written in the guest goes to, in bytes. Default: there is none, and it takes memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_size: Option<u64>,
    /// When it begins, each time it starts. Default: 2020-01-01.
    #[serde(default)]
    pub date: VirtualDate,
    /// Ports of the host that lead into it. Default: the guest system's, 11022 to 22 and 11044 to 1004 for Linux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwards: Option<Vec<Forward>>,
    /// What it builds for. Default: `x86_64-linux`.
    #[serde(default = "default_systems")]
    pub systems: Vec<String>,
    /// Whether `grange vm start --all` starts it. Default: no.
    #[serde(default)]
    pub auto_start: bool,
}

fn default_image() -> String {
    "debian-12".into()
}

fn default_cpu_count() -> u32 {
    4
}

fn default_memory() -> u64 {
    2048
}

fn default_systems() -> Vec<String> {
    vec!["x86_64-linux".into()]
}

/// A machine cannot be as it is said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// No processor is old enough.
    #[error(
        "no processor is known that was new at {0}; the table begins in 2006: say which one it shall be"
    )]
    NoCpu(VirtualDate),
    /// There are too many processors, or none.
    #[error("a machine has from 1 to {MOST_CPUS} processors, not {0}")]
    Cpus(u32),
    /// It has too little or too much memory.
    #[error("a machine has from {LEAST_MEMORY} MiB to {MOST_MEMORY} MiB of memory, not {0} MiB")]
    Memory(u64),
    /// Its disk is too small or too large.
    #[error("a disk has from {LEAST_DISK} MiB to {MOST_DISK} MiB, not {0} bytes")]
    Disk(u64),
    /// Two forwardings want the same port.
    #[error("two forwardings begin at the same port: {0} and {1}")]
    Ports(Forward, Forward),
    /// No guest builds for it.
    #[error("no kind of guest builds for {system:?}: there is {known}")]
    System {
        /// What was asked for.
        system: String,
        /// What there is.
        known: String,
    },
    /// One kind of guest cannot do all of it.
    #[error("no kind of guest builds for all of {0}")]
    Systems(String),
}

impl VirtualBuildMachine {
    /// One with all defaults.
    #[must_use]
    pub fn new(name: MachineName) -> Self {
        Self {
            name,
            image: default_image(),
            qemu: None,
            kernel: None,
            cpu: None,
            cpu_count: default_cpu_count(),
            memory: default_memory(),
            disk_size: None,
            date: VirtualDate::default(),
            forwards: None,
            systems: default_systems(),
            auto_start: false,
        }
    }

    /// What must hold of it, whatever this host has.
    ///
    /// # Errors
    ///
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), SpecError> {
        let system = self.guest_system()?;
        self.cpu(&system)?;
        if !(1..=MOST_CPUS).contains(&self.cpu_count) {
            return Err(SpecError::Cpus(self.cpu_count));
        }
        if !(LEAST_MEMORY..=MOST_MEMORY).contains(&self.memory) {
            return Err(SpecError::Memory(self.memory));
        }
        let disk = self.disk_size.unwrap_or(LEAST_DISK << 20);
        if !(LEAST_DISK << 20..=MOST_DISK << 20).contains(&disk) {
            return Err(SpecError::Disk(disk));
        }
        let forwards = self.forwards(&system);
        for (index, one) in forwards.iter().enumerate() {
            let same =
                |other: &&Forward| (other.address(), other.host) == (one.address(), one.host);
            if let Some(other) = forwards[..index].iter().find(same) {
                return Err(SpecError::Ports(*other, *one));
            }
        }
        Ok(())
    }

    /// The kind of guest that builds for all its systems.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn guest_system(&self) -> Result<GuestSystem, SpecError> {
        let all = GuestSystem::all();
        for system in &self.systems {
            if GuestSystem::of(system).is_none() {
                let known: Vec<String> = all.into_iter().flat_map(|one| one.systems).collect();
                return Err(SpecError::System {
                    system: system.clone(),
                    known: known.join(", "),
                });
            }
        }
        let does = |guest: &GuestSystem| self.systems.iter().all(|one| guest.systems.contains(one));
        let none = || SpecError::Systems(self.systems.join(", "));
        all.into_iter().find(does).ok_or_else(none)
    }

    /// Its processor.
    ///
    /// # Errors
    ///
    /// None is said, and none is known that was new at its date.
    pub fn cpu(&self, system: &GuestSystem) -> Result<CpuModel, SpecError> {
        let cpu = self.cpu.clone().or_else(|| system.default_cpu(self.date));
        cpu.ok_or(SpecError::NoCpu(self.date))
    }

    /// Its forwardings.
    #[must_use]
    pub fn forwards(&self, system: &GuestSystem) -> Vec<Forward> {
        self.forwards
            .clone()
            .unwrap_or_else(|| system.forwards.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> VirtualBuildMachine {
        VirtualBuildMachine::new("past".parse().unwrap())
    }

    #[test]
    fn defaults_are_those_of_guix() {
        let machine = machine();
        machine.check().unwrap();
        let system = machine.guest_system().unwrap();
        assert_eq!(system.name, "linux-x86_64");
        assert_eq!(machine.cpu(&system).unwrap().as_str(), "Skylake-Client");
        assert_eq!((machine.cpu_count, machine.memory), (4, 2048));
        assert_eq!(machine.date.to_string(), "2020-01-01T00:00:00");
        let forwards: Vec<String> = machine
            .forwards(&system)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(forwards, ["127.0.0.1:11022:22", "127.0.0.1:11044:1004"]);
        assert_eq!(
            toml::from_str::<VirtualBuildMachine>("name = \"past\"").unwrap(),
            machine
        );
    }

    #[test]
    fn what_cannot_be_is_told() {
        let refused = |change: fn(&mut VirtualBuildMachine)| {
            let mut machine = machine();
            change(&mut machine);
            machine.check().unwrap_err()
        };
        let old = "2005-12-31".parse().unwrap();
        assert_eq!(
            refused(|one| one.date = "2005-12-31".parse().unwrap()),
            SpecError::NoCpu(old)
        );
        assert_eq!(refused(|one| one.cpu_count = 0), SpecError::Cpus(0));
        assert_eq!(refused(|one| one.memory = 64), SpecError::Memory(64));
        assert_eq!(
            refused(|one| one.memory = u64::MAX),
            SpecError::Memory(u64::MAX)
        );
        for bytes in [(64 << 20) - 1, (16 << 40) - 1] {
            let mut machine = machine();
            machine.disk_size = Some(bytes);
            assert_eq!(machine.check(), Err(SpecError::Disk(bytes)));
        }
        let two = [Forward::new(1, 22), Forward::new(1, 23)];
        assert_eq!(
            refused(|one| one.forwards = Some(vec![Forward::new(1, 22), Forward::new(1, 23)])),
            SpecError::Ports(two[0], two[1])
        );
        let error = refused(|one| one.systems = vec!["sparc-linux".into()]);
        assert!(error.to_string().contains("i586-gnu"), "{error}");
        let both = refused(|one| one.systems = vec!["x86_64-linux".into(), "i586-gnu".into()]);
        assert_eq!(both, SpecError::Systems("x86_64-linux, i586-gnu".into()));
        let mut old = machine();
        old.date = "1999-12-31".parse().unwrap();
        old.cpu = Some("Conroe".parse().unwrap());
        old.check().unwrap();
    }

    #[test]
    fn typos_in_a_file_are_found() {
        let error =
            toml::from_str::<VirtualBuildMachine>("name = \"past\"\ncpus = 4\n").unwrap_err();
        assert!(error.to_string().contains("cpu-count"), "{error}");
        let error = toml::from_str::<VirtualBuildMachine>("name = \"past\"\ndate = \"2020\"\n")
            .unwrap_err();
        assert!(error.to_string().contains("2020-01-01"), "{error}");
    }
}
