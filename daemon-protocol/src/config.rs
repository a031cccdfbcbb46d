//! What an embedder may set.

use std::path::PathBuf;
use std::time::Duration;

use grange_derivation::{Dialect, StoreDir};
use grange_signatures::guix;

/// A daemon and how it is used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DaemonConfig {
    /// Where the daemon listens, such as `/var/guix/daemon-socket/socket` or `/nix/var/nix/daemon-socket/socket`.
    pub socket: PathBuf,
    /// Its store.
    pub store_dir: StoreDir,
    /// Which daemon it is. Default: what the store's directory tells.
    pub dialect: Dialect,
    /// What imports are signed with. A guix-daemon takes nothing but texts and sources without; a nix-daemon does not
    /// ask whom it trusts. Default: none.
    pub farm_key: Option<FarmKey>,
    /// How long the daemon may say nothing where it should. Default: 10 minutes, since a daemon that collects garbage
    /// lets everybody wait. Less finds a daemon that hangs sooner; more is for large stores on slow disks.
    pub patience: Duration,
    /// How long what was imported or built is kept from garbage collection once no build needs it. Default: 24 hours,
    /// for outputs stay until they are uploaded. Each costs some 200 bytes of memory, and room in the store.
    pub linger: Duration,
    /// How many connections that nobody uses at the moment are kept. Default: 8. Each is a process of the daemon; a new
    /// one takes a millisecond.
    pub idle_connections: usize,
    /// Whether the store is the farm's alone: then what refers to a deleted item is deleted with it. Default: no, and
    /// items that others refer to are not deleted.
    pub exclusive: bool,
}

impl DaemonConfig {
    /// The daemon that listens at `socket` for `store_dir`.
    pub fn new(socket: impl Into<PathBuf>, store_dir: StoreDir) -> Self {
        Self {
            socket: socket.into(),
            dialect: Dialect::of(&store_dir),
            store_dir,
            farm_key: None,
            patience: Duration::from_secs(600),
            linger: Duration::from_secs(24 * 3600),
            idle_connections: 8,
            exclusive: false,
        }
    }
}

/// What imports are signed with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FarmKey {
    /// As in `/etc/guix/signing-key.sec`.
    Guix(guix::SecretKey),
}

/// How builds are run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuilderConfig {
    /// Systems to offer. Default: this machine's own, its 32-bit one, and `builtin`.
    pub systems: Vec<String>,
    /// Values of `requiredSystemFeatures` to offer; they should be those of the daemon's `system-features`. Default:
    /// none.
    pub features: Vec<String>,
    /// How many builds run at once at most: not more than the daemon has build users, for a guix-daemon fails what comes
    /// then. Others who use the daemon take of the same users. Default: 8, of the 10 that Guix's manual sets up; a
    /// nix-daemon usually has 32.
    pub max_parallel_builds: u32,
    /// How long a build waits for a build user if others have taken all of them, before it is a setup failure. A
    /// guix-daemon does not wait by itself. Default: 60 seconds. More keeps the attempt here; less gives it to another
    /// agent sooner.
    pub wait_for_users: Duration,
}

impl BuilderConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        let arch = std::env::consts::ARCH;
        let arch = if arch == "x86" { "i686" } else { arch };
        let mut systems = vec![format!("{arch}-linux")];
        match arch {
            "x86_64" => systems.push("i686-linux".to_owned()),
            "aarch64" => systems.push("armhf-linux".to_owned()),
            _ => {}
        }
        systems.push("builtin".to_owned());
        Self {
            systems,
            features: Vec::new(),
            max_parallel_builds: 8,
            wait_for_users: Duration::from_secs(60),
        }
    }
}

impl Default for BuilderConfig {
    fn default() -> Self {
        Self::new()
    }
}
