//! What kinds of guests there are: data, so that embedders add theirs.

use serde::{Deserialize, Serialize};

use crate::machine::{CpuModel, Forward, VirtualDate, cpu_of};

/// How guests of one kind are started. Two are here; others are values like these, from TOML if need be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GuestSystem {
    /// What it is called, such as `linux-x86_64`.
    pub name: String,
    /// What it builds for, such as `x86_64-linux`.
    pub systems: Vec<String>,
    /// QEMU's program for it, without directories.
    pub emulator: String,
    /// QEMU's `-machine`.
    pub machine: String,
    /// The processor, where nobody says which.
    pub cpu: DefaultCpu,
    /// How it boots.
    pub boot: BootWay,
    /// The device by which it has a network: `virtio-net-pci`, `rtl8139`.
    pub network: String,
    /// The device by which it has a disk: `virtio-blk-pci`, `ide-hd`.
    pub disk: String,
    /// Whether it has a virtio-serial port for its agent; without, it is reached by its network alone.
    pub channel: bool,
    /// Whether it takes randomness from the host (virtio-rng), and is told when it was cloned (VM generation ID).
    pub random: bool,
    /// Ports of the host that lead into it where nobody says which.
    pub forwards: Vec<Forward>,
}

/// The processor, where nobody says which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DefaultCpu {
    /// The one that was new at the machine's date ([`crate::machine::CpuEra::ALL`]).
    ByDate,
    /// Always this one.
    Model(CpuModel),
}

/// How a guest boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BootWay {
    /// QEMU loads the kernel, if the image has one.
    Kernel {
        /// What stands on its command line in any case.
        arguments: String,
    },
    /// By what is on its disk, such as GRUB.
    Disk,
}

impl GuestSystem {
    /// Linux on x86-64.
    #[must_use]
    pub fn linux_x86_64() -> Self {
        Self {
            name: "linux-x86_64".into(),
            systems: vec!["x86_64-linux".into(), "i686-linux".into()],
            emulator: "qemu-system-x86_64".into(),
            machine: "q35".into(),
            cpu: DefaultCpu::ByDate,
            boot: BootWay::Kernel {
                arguments: "console=ttyS0 quiet panic=-1".into(),
            },
            network: "virtio-net-pci".into(),
            disk: "virtio-blk-pci".into(),
            channel: true,
            random: true,
            // Those of Guix's service: ssh, and the secret service, by another port than a childhurd's.
            forwards: vec![Forward::new(11022, 22), Forward::new(11044, 1004)],
        }
    }

    /// GNU/Hurd on 32-bit x86, as Guix's childhurd has it: GRUB on the disk, a network card that it has a driver for.
    #[must_use]
    pub fn hurd_i586() -> Self {
        Self {
            name: "hurd-i586".into(),
            systems: vec!["i586-gnu".into()],
            emulator: "qemu-system-i386".into(),
            machine: "pc".into(),
            cpu: DefaultCpu::Model("qemu32".parse().expect("it is a model's name")),
            boot: BootWay::Disk,
            network: "rtl8139".into(),
            disk: "ide-hd".into(),
            channel: false,
            random: false,
            // Those of childhurds (`hurd-vm-net-options`): secrets, ssh, VNC.
            forwards: vec![
                Forward::new(11004, 1004),
                Forward::new(10022, 2222),
                Forward::new(15900, 5900),
            ],
        }
    }

    /// All that are here.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![Self::linux_x86_64(), Self::hurd_i586()]
    }

    /// The one that builds for that system.
    #[must_use]
    pub fn of(system: &str) -> Option<Self> {
        let builds = |guest: &Self| guest.systems.iter().any(|one| one == system);
        Self::all().into_iter().find(builds)
    }

    /// The processor of a machine that begins at `date`, where nobody says which. None before the table begins.
    #[must_use]
    pub fn default_cpu(&self, date: VirtualDate) -> Option<CpuModel> {
        match &self.cpu {
            DefaultCpu::ByDate => cpu_of(date),
            DefaultCpu::Model(model) => Some(model.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_found_by_what_they_build_for_and_are_data() {
        for system in GuestSystem::all() {
            for builds in &system.systems {
                assert_eq!(GuestSystem::of(builds).as_ref(), Some(&system));
            }
            let text = toml::to_string(&system).unwrap();
            assert_eq!(toml::from_str::<GuestSystem>(&text).unwrap(), system);
        }
        assert_eq!(GuestSystem::of("sparc-linux"), None);
    }

    #[test]
    fn no_two_kinds_want_the_same_port_of_the_host() {
        let all = GuestSystem::all();
        let mut ports: Vec<u16> = all
            .iter()
            .flat_map(|one| &one.forwards)
            .map(|one| one.host)
            .collect();
        ports.sort_unstable();
        let count = ports.len();
        ports.dedup();
        assert_eq!(ports.len(), count);
    }
}
