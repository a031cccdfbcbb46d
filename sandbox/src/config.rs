//! What an embedder may set.

use std::collections::BTreeMap;
use std::path::PathBuf;

use grange_derivation::StoreDir;

use crate::init::INIT_MARKER;

/// A user that nobody is.
pub(crate) const FIRST_BUILD_UID: u32 = 1_900_000_000;

/// Where a store lies.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The directory that everything lies in; made if it is not there.
    pub directory: PathBuf,
    /// Where builds see the store, such as `/gnu/store`. It is part of every item's hash, so it must be that of the
    /// derivations to be built.
    pub store_dir: StoreDir,
}

impl StoreConfig {
    /// A store in `directory` that builds see as `store_dir`.
    pub fn new(directory: impl Into<PathBuf>, store_dir: StoreDir) -> Self {
        Self {
            directory: directory.into(),
            store_dir,
        }
    }
}

/// How builds are run. Everything has a default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SandboxConfig {
    /// The helper that makes the namespaces. Default: this program itself, which then has to call
    /// [`init_main`](crate::init_main) first thing in `main`.
    pub helper: Helper,
    /// Systems to build for. Default: the machine's own, its 32-bit one on x86-64, and `builtin`.
    pub systems: Vec<String>,
    /// Values of `requiredSystemFeatures` to offer. Default: `benchmark` and `big-parallel`, as Nix, and `kvm` where
    /// builds may use `/dev/kvm`.
    pub features: Vec<String>,
    /// Files and directories of the machine that builds see, read-only, at the same place: a way to use the machine's
    /// compiler. Builds with any are not reproducible elsewhere. Default: none.
    pub sandbox_paths: Vec<PathBuf>,
    /// Where builds have their temporary files. Default: in the store's directory.
    pub build_directory: Option<PathBuf>,
    /// Bounds of each process of a build. Default: none but those of the agent.
    pub limits: ProcessLimits,
    /// Bytes of log after which a build is killed. Default: no bound.
    pub max_log_bytes: Option<u64>,
    /// Values for the variables that a fixed-output derivation may name in `impureEnvVars` (`http_proxy` and such).
    /// Default: none, that is: all of them empty.
    pub impure_environment: BTreeMap<String, String>,
    /// Certificates in PEM form that the downloads of `builtin:download` and `builtin:fetchurl` trust. Default: the
    /// system's, at the usual places.
    pub certificates: Option<PathBuf>,
    /// The `git` that `builtin:git-download` uses: a path, or a name that is looked up in [`Self::search_path`].
    /// Default: `git`.
    pub git: PathBuf,
    /// Where programs of the machine are looked up: `git` and what it calls. Default: `/run/current-system/profile/bin`
    /// (Guix), `/run/current-system/sw/bin` (NixOS), `/usr/local/bin`, `/usr/bin`, `/bin`.
    pub search_path: Vec<PathBuf>,
    /// If the agent is root: the first of the users (and groups) that builds run as, one for each build that runs at
    /// the same time. They need not exist, and must not belong to anybody: the daemons of Guix and Nix kill
    /// whatever runs as one of their build users, which mostly begin at 30001. Default: 1900000000, in a range that
    /// nothing else hands out (<https://systemd.io/UIDS-GIDS/>).
    pub first_build_uid: u32,
    /// How many of them there are. Default: 256.
    pub build_uids: u32,
}

/// What makes the namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Helper {
    /// This very program, run again.
    ThisProgram,
    /// Another program that calls [`init_main`](crate::init_main), such as `grange-sandbox-init`.
    Program(PathBuf),
}

impl Helper {
    pub(crate) fn program(&self) -> PathBuf {
        match self {
            // The running file, even if another has taken its place since.
            Self::ThisProgram => PathBuf::from("/proc/self/exe"),
            Self::Program(path) => path.clone(),
        }
    }

    pub(crate) const fn argument(&self) -> &'static str {
        INIT_MARKER
    }
}

/// Bounds of each process of a build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessLimits {
    /// Bytes of address space (`RLIMIT_AS`).
    pub memory_bytes: Option<u64>,
    /// Processes and threads of the build's user (`RLIMIT_NPROC`); of all builds together if the agent is not root.
    pub processes: Option<u64>,
    /// Open files (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
    /// Bytes of any one file (`RLIMIT_FSIZE`).
    pub file_bytes: Option<u64>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            helper: Helper::ThisProgram,
            systems: crate::machine::systems(),
            features: crate::machine::features(),
            sandbox_paths: Vec::new(),
            build_directory: None,
            limits: ProcessLimits::default(),
            max_log_bytes: None,
            impure_environment: BTreeMap::new(),
            certificates: None,
            git: PathBuf::from("git"),
            search_path: [
                "/run/current-system/profile/bin",
                "/run/current-system/sw/bin",
                "/usr/local/bin",
                "/usr/bin",
                "/bin",
            ]
            .map(PathBuf::from)
            .to_vec(),
            first_build_uid: FIRST_BUILD_UID,
            build_uids: 256,
        }
    }
}
