//! A port, or what stands for one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

use crate::machine::wait_for;

/// Where the kernel lists serial ports.
const PORTS: &str = "/sys/class/virtio-ports";
/// How long to wait for news of the host. It only matters if an event got lost.
const RECHECK: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// A stream of bytes to the host.
#[derive(Debug)]
pub(crate) struct Port {
    file: File,
    /// Tells when a host connects. None for a stream that ends when the other end has gone.
    changes: Option<OwnedFd>,
}

impl Port {
    /// The serial port of this name; waits for it at most as long as `patience`.
    pub(crate) fn find(name: &str, patience: Duration) -> io::Result<Self> {
        let device = wait_for(patience, || device(name))
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such serial port"))?;
        let file = OpenOptions::new().read(true).write(true).open(device)?;
        let changes = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // Without a host, the port is readable and hung up, all the time: only changes are of interest.
        let events = epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ET;
        epoll::add(&changes, &file, epoll::EventData::new_u64(0), events)?;
        Ok(Self {
            file,
            changes: Some(changes),
        })
    }

    /// A connected socket.
    pub(crate) fn socket(socket: OwnedFd) -> io::Result<Self> {
        // Threads wait in it.
        rustix::io::ioctl_fionbio(&socket, false)?;
        Ok(Self {
            file: socket.into(),
            changes: None,
        })
    }

    /// Standard input, which is a connected socket.
    pub(crate) fn stdin() -> io::Result<Self> {
        Self::socket(io::stdin().as_fd().try_clone_to_owned()?)
    }

    /// Reads at least one byte, for as long as that takes. 0: the other end has gone, for good.
    pub(crate) fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match ((&self.file).read(bytes), &self.changes) {
                (Ok(0), Some(changes)) => wait(changes)?,
                (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
                // As good as an end.
                (Err(error), None) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(0);
                }
                (read, _) => return read,
            }
        }
    }

    /// Writes all, and waits for a host if there is none.
    pub(crate) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)
    }
}

/// Waits until a host connects, or something else happens.
fn wait(changes: &OwnedFd) -> io::Result<()> {
    let mut events = Vec::with_capacity(1);
    let buffer = rustix::buffer::spare_capacity(&mut events);
    match epoll::wait(changes, buffer, Some(&RECHECK)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The device of the serial port with this name.
fn device(name: &str) -> Option<PathBuf> {
    let ports = fs::read_dir(PORTS).ok()?;
    let port = ports.filter_map(Result::ok).find(|port| {
        let found = fs::read_to_string(port.path().join("name"));
        found.is_ok_and(|found| found.trim_end() == name)
    })?;
    let device = Path::new("/dev").join(port.file_name());
    device.exists().then_some(device)
}
