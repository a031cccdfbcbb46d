//! Unix sockets that only their owner can open.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// A socket's file. It is removed when this is dropped, if it is still the one that was made.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    // Held as long as the socket is: who has it may replace what lies at `path`.
    _lock: File,
}

/// Why no socket was made.
#[derive(Debug)]
pub(crate) enum SocketError {
    /// Somebody listens there.
    InUse,
    /// Something else lies there.
    NotASocket,
    /// The system says no.
    Io(io::Error),
}

impl From<io::Error> for SocketError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Makes a socket of mode 0600 at `path`, in place of one that nobody listens on any more.
///
/// It is made in a directory that only the owner can enter and then moved to its place, so that at
/// no moment anybody else can open it, whatever the umask. `PATH.lock` is locked meanwhile and
/// stays: of two servers that start at once, one finds it taken.
pub(crate) fn bind(path: &Path) -> Result<(UnixListener, SocketFile), SocketError> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path of the socket has no file name",
        )
    })?;
    // The name that clients will use, not only the one that it is made under, must be short enough.
    SocketAddr::from_pathname(path)?;
    let mut lock_name = name.to_owned();
    lock_name.push(".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.with_file_name(lock_name))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(SocketError::InUse),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    check_place(path)?;
    let private = private_directory(path)?;
    let made = bind_in(&private, path);
    let _ = std::fs::remove_dir_all(&private);
    let (listener, identity) = made?;
    Ok((
        listener,
        SocketFile {
            path: path.to_owned(),
            identity,
            _lock: lock,
        },
    ))
}

/// Whether a socket may be put at `path`.
fn check_place(path: &Path) -> Result<(), SocketError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NotASocket),
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error.into()),
        // Also one that is too busy to accept.
        _ => Err(SocketError::InUse),
    }
}

/// A new directory beside `path` that only we can enter.
fn private_directory(path: &Path) -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        // Short, for the path of a socket has at most 107 bytes.
        let private = path.with_file_name(format!(".g{}", std::process::id() + number));
        match DirBuilder::new().mode(0o700).create(&private) {
            Ok(()) => return Ok(private),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 100 => {
                number += 1
            }
            Err(error) => return Err(error),
        }
    }
}

fn bind_in(private: &Path, path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    let temporary = private.join("s");
    let listener = UnixListener::bind(&temporary)?;
    std::fs::set_permissions(&temporary, Permissions::from_mode(0o600))?;
    let made = std::fs::symlink_metadata(&temporary)?;
    std::fs::rename(&temporary, path)?;
    Ok((listener, (made.dev(), made.ino())))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let there = std::fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
