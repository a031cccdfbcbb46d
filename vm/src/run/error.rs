//! Why a machine does not come up.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use grange_guest::client::ClientError;
use grange_vm_image::ImageError;

use crate::machine::SpecError;
use crate::qemu::{EmulatorError, Ended, QmpError, StartError};

/// Why a machine does not come up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// It cannot be as it is said.
    #[error("the machine cannot be so")]
    Spec(#[from] SpecError),
    /// There is no emulator for it.
    #[error("there is no emulator for it")]
    Emulator(#[from] EmulatorError),
    /// There is nothing to boot.
    #[error("its image cannot be used")]
    Image(#[from] ImageError),
    /// QEMU does not come up.
    #[error("it does not start")]
    Start(#[from] StartError),
    /// QEMU does not do what it is asked.
    #[error("it cannot be controlled")]
    Monitor(#[from] QmpError),
    /// QEMU ended before the guest was there.
    #[error("{ended}; the end of its console:\n{console}")]
    Ended {
        /// How.
        ended: Ended,
        /// What the guest has printed last.
        console: String,
    },
    /// The guest never answered.
    #[error("the guest has not answered within {} s; the end of its console:\n{console}", limit.as_secs())]
    Silent {
        /// How long it was waited for.
        limit: Duration,
        /// What it has printed last.
        console: String,
    },
    /// The guest answers what is none.
    #[error("the guest cannot be spoken to")]
    Guest(#[from] ClientError),
    /// The host cannot give a guest AF_VSOCK.
    #[error("{} cannot be used: load the kernel's module vhost_vsock, or speak to the machine by its serial port", device.display())]
    NoVsock {
        /// The device.
        device: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A directory or file cannot be used.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is no `mke2fs`.
    #[error(
        "the machine has a disk, for which mke2fs is needed (Debian package e2fsprogs): it is neither in PATH nor in /usr/sbin"
    )]
    NoMke2fs,
    /// `mke2fs` makes no file system.
    #[error("mke2fs makes no file system in {}: {said}", path.display())]
    Mke2fs {
        /// The disk.
        path: PathBuf,
        /// What it says.
        said: String,
    },
    /// The emulator's user cannot get to its directory.
    #[error("the emulator runs as user {user}, who cannot enter {}: keep machines elsewhere, or open it (chmod o+x)", path.display())]
    Closed {
        /// The user.
        user: u32,
        /// The directory on the way that is closed.
        path: PathBuf,
    },
    /// A path is longer than a socket's may be.
    #[error("{} is too long for a socket ({} bytes; {most} are allowed): choose a shorter directory", path.display(), path.as_os_str().len())]
    Long {
        /// The socket.
        path: PathBuf,
        /// How long one may be.
        most: usize,
    },
    /// The state of a template cannot be kept or taken over.
    #[error("the machine's state cannot be {what}: {why}")]
    State {
        /// What was tried.
        what: &'static str,
        /// What QEMU says.
        why: String,
    },
    /// The image has no guest program, without which it cannot be used so.
    #[error("the image has no guest program of ours, which {0} needs")]
    NoGuest(&'static str),
}

/// Says what failed with which file.
pub(crate) fn io(
    what: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> BootError {
    let path = path.into();
    move |source| BootError::Io { what, path, source }
}
