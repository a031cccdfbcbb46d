//! Where things lie unless somebody says otherwise.

use std::env;
use std::path::{Path, PathBuf};

/// The socket of a coordinator of the whole machine.
const SYSTEM_SOCKET: &str = "/run/grange/admin.sock";
/// The state of a coordinator of the whole machine.
const SYSTEM_STATE: &str = "/var/lib/grange";
/// The virtual machines of the whole machine.
const SYSTEM_VMS: &str = "/var/lib/grange-vm";

/// Where a client looks for the coordinator: its own user's, if that one has a socket, else the system's.
#[must_use]
pub fn client_socket() -> PathBuf {
    match own_socket() {
        Some(own) if own.exists() => own,
        _ => PathBuf::from(SYSTEM_SOCKET),
    }
}

/// Where a coordinator that is started by this user puts its socket: the system's place for root.
#[must_use]
pub fn coordinator_socket() -> PathBuf {
    own_socket()
        .filter(|_| !is_root())
        .unwrap_or_else(|| PathBuf::from(SYSTEM_SOCKET))
}

/// Where a coordinator that is started by this user keeps its state.
#[must_use]
pub fn coordinator_state() -> PathBuf {
    if is_root() {
        PathBuf::from(SYSTEM_STATE)
    } else {
        user_state()
    }
}

/// Where virtual machines that this user makes are kept.
#[must_use]
pub fn vm_state() -> PathBuf {
    if is_root() {
        // Not below the coordinator's, into which nobody else may look, emulators of other users included.
        PathBuf::from(SYSTEM_VMS)
    } else {
        user_state().join("vm")
    }
}

/// Where `grange demo` keeps its state.
#[must_use]
pub fn demo_state() -> PathBuf {
    user_state().join("demo")
}

/// `$XDG_STATE_HOME/grange`, as the XDG Base Directory Specification says: a relative path counts as unset.
fn user_state() -> PathBuf {
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    base.unwrap_or_else(|| env::temp_dir().join(format!("grange-{}", user_id())))
        .join("grange")
}

fn own_socket() -> Option<PathBuf> {
    let base = env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())?;
    Some(base.join("grange/admin.sock"))
}

fn is_root() -> bool {
    user_id() == 0
}

/// Who owns this process.
fn user_id() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    // The owner of a process's directory is the process's effective user.
    Path::new("/proc/self")
        .metadata()
        .map_or(u32::MAX, |metadata| metadata.uid())
}
