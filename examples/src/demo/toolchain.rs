//! What the demo's derivations compile with.

use super::fetch::{self, FetchError};
use std::fmt;
use std::path::{Path, PathBuf};

/// A C compiler, a shell and the small tools around them.
///
/// Exhaustive on purpose: a third kind needs recipes of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// Directories that become sources in the store: builds see nothing of the host.
    Seeds {
        /// Holds `bin/busybox`, static.
        busybox: PathBuf,
        /// Holds `bin/tcc`, the libraries that it runs on in `lib`, and musl to link against.
        tcc: PathBuf,
    },
    /// The host's `cc`, `ar`, `sh` and coreutils, which the sandbox must show to builds.
    Host {
        /// Directories to show, each under its own name.
        paths: Vec<PathBuf>,
        /// Why there are no seeds, for people.
        why: String,
    },
}

/// Why there is no toolchain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolchainError {
    /// No seeds can be had, and the host has no compiler.
    #[error(
        "there is no compiler here, and none could be fetched: install one, or try with a network"
    )]
    Nothing {
        /// Why there are no seeds.
        source: FetchError,
    },
    /// The host lacks something.
    #[error("this host lacks {missing}")]
    HostLacks {
        /// What.
        missing: &'static str,
    },
}

/// What a host needs instead of seeds, and where it is looked for.
const HOST_TOOLS: [(&str, &[&str]); 3] = [
    ("a shell at /bin/sh", &["/bin/sh"]),
    ("a C compiler named cc", &["/usr/bin/cc", "/bin/cc"]),
    ("the archiver ar", &["/usr/bin/ar", "/bin/ar"]),
];

/// What builds must see of a host, where it exists.
const HOST_PATHS: [&str; 6] = [
    "/usr",
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/alternatives",
];

impl Toolchain {
    /// Looks into `cache` for seeds, else fetches them there from Debian packages with `apt-get` and `dpkg-deb`, as
    /// whoever runs this; else takes the host's compiler and says why. Blocks, for a few seconds when it fetches.
    ///
    /// # Errors
    /// If there is neither.
    pub fn find_or_fetch(cache: &Path) -> Result<Self, ToolchainError> {
        match fetch::seeds(cache) {
            Ok(seeds) => Ok(seeds),
            Err(error) => {
                tracing::warn!(
                    why = causes(&error),
                    "no toolchain of our own: looking for the host's compiler"
                );
                Self::host(causes(&error)).map_err(|_| ToolchainError::Nothing { source: error })
            }
        }
    }

    /// The host's compiler, even where something better can be had; `why` is what people are told.
    ///
    /// # Errors
    /// If the host has none.
    pub fn host(why: impl Into<String>) -> Result<Self, ToolchainError> {
        let missing = HOST_TOOLS
            .iter()
            .find(|(_, places)| !places.iter().any(|place| Path::new(place).exists()));
        if let Some((missing, _)) = missing {
            return Err(ToolchainError::HostLacks { missing });
        }
        let paths = HOST_PATHS
            .iter()
            .map(PathBuf::from)
            .filter(|path| path.exists())
            .collect();
        Ok(Self::Host {
            paths,
            why: why.into(),
        })
    }

    /// What derivations for it are to be built on, as Guix and Nix name it.
    #[must_use]
    pub fn system(&self) -> String {
        let machine = match std::env::consts::ARCH {
            "x86" => "i686",
            "arm" => "armhf",
            other => other,
        };
        format!("{machine}-linux")
    }
}

/// An error and its causes, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", causes(source)),
        None => error.to_string(),
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seeds { .. } => f.write_str("tcc, musl and busybox from Debian packages"),
            Self::Host { why, .. } => write!(f, "the host's compiler, shown to builds ({why})"),
        }
    }
}
