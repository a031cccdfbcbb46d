//! All that a machine is started with.

use std::ffi::OsString;
use std::path::Path;

use super::channel::Channel;
use super::disk::{self, PlannedDisk};
use super::error::{BootError, io};
use crate::image::BootImage;
use crate::machine::{Forward, SpecError, VirtualBuildMachine};
use crate::qemu::{Accelerator, Emulator, Launch, Memory, User};

/// The longest path of a socket (`sun_path`, without its zero).
const SOCKET: usize = 107;

/// All that a machine is started with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The machine.
    pub machine: VirtualBuildMachine,
    /// What it boots.
    pub image: BootImage,
    /// What emulates it.
    pub emulator: Emulator,
    /// What executes it.
    pub accelerator: Accelerator,
    /// The disk that what is written in it goes to. None: memory.
    pub disk: Option<PlannedDisk>,
    /// By what it is spoken to. Templates and clones: always by their serial ports.
    pub channel: Channel,
    /// Ports of the host that lead into it.
    pub forwards: Vec<Forward>,
    /// Whether it may reach others.
    pub network: bool,
    /// Who the emulator runs as. None: whoever starts it.
    pub user: Option<User>,
    /// Arguments that are added to the emulator's.
    pub further: Vec<OsString>,
}

impl Plan {
    /// What decides QEMU's command line, for a machine whose sockets lie in `directory`.
    ///
    /// # Errors
    ///
    /// The machine cannot be so.
    pub fn launch(&self, directory: &Path, memory: Memory) -> Result<Launch, SpecError> {
        let system = self.machine.guest_system()?;
        let mut image = self.image.clone();
        if self.disk.is_some() {
            // A template's is kept with its memory, and stays as it is.
            let (place, volatile) = match &memory {
                Memory::Own => (directory, false),
                Memory::Template(ram) => (ram.parent().unwrap_or(directory), false),
                Memory::Clone(ram) => (ram.parent().unwrap_or(directory), true),
            };
            image = image.with_disk(&disk::file(place), volatile);
        }
        Ok(Launch {
            name: self.machine.name.clone(),
            cpu: self.machine.cpu(&system)?,
            system,
            cpu_count: self.machine.cpu_count,
            memory,
            memory_mib: self.machine.memory,
            date: self.machine.date,
            accelerator: self.accelerator,
            boot: image.boot,
            disks: image.disks,
            vsock: None,
            forwards: self.forwards.clone(),
            network: self.network,
            directory: directory.to_owned(),
            further: self.further.clone(),
        })
    }

    /// Makes the directory for its sockets and its disk, empty, for nobody but its user.
    pub(super) fn prepare(&self, directory: &Path) -> Result<(), BootError> {
        let longest = directory.join("incoming");
        if longest.as_os_str().len() > SOCKET {
            return Err(BootError::Long {
                path: longest,
                most: SOCKET,
            });
        }
        make_directory(directory, self.user)?;
        if let Some(user) = self.user {
            reachable(directory, user)?;
        }
        for name in ["qmp", "console", "control", "agent", "incoming", "disk"] {
            let path = directory.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io("remove", path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A directory of that user's alone. What it lies in belongs to whoever calls this.
fn make_directory(directory: &Path, user: Option<User>) -> Result<(), BootError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(directory).map_err(io("make", directory))?;
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(directory, private).map_err(io("protect", directory))?;
    if let Some(user) = user {
        let owned = std::os::unix::fs::chown(directory, Some(user.uid), Some(user.gid));
        owned.map_err(io("give away", directory))?;
    }
    Ok(())
}

/// Sees to it that the user can get to the directory.
fn reachable(directory: &Path, user: User) -> Result<(), BootError> {
    use std::os::unix::fs::MetadataExt as _;
    for path in directory.ancestors() {
        let about = std::fs::metadata(path).map_err(io("look at", path))?;
        let may = match about {
            _ if about.uid() == user.uid => 0o100,
            _ if about.gid() == user.gid => 0o010,
            _ => 0o001,
        };
        if about.mode() & may == 0 {
            return Err(BootError::Closed {
                user: user.uid,
                path: path.to_owned(),
            });
        }
    }
    Ok(())
}

/// The host's boot: after another, its KVM may be another, and what was not written through to the disk may be gone.
pub(super) fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_that_a_user_cannot_enter_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let user = User {
            uid: 1_900_200_099,
            gid: 1_900_200_099,
        };
        let set = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(directory.path(), mode).unwrap();
        };
        set(0o711);
        reachable(&inner, user).unwrap();
        set(0o700);
        let error = reachable(&inner, user).unwrap_err();
        assert!(
            matches!(&error, BootError::Closed { path, .. } if path == directory.path()),
            "{error}"
        );
    }
}
