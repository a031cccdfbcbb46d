//! What does not go with machines that are kept.

use std::io;
use std::path::PathBuf;

use crate::machine::{MachineName, SpecError};
use crate::run::BootError;

/// What does not go with machines that are kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// There is none of that name.
    #[error("there is no machine {name}{}", others(known))]
    Unknown {
        /// The name.
        name: MachineName,
        /// Those that there are.
        known: Vec<MachineName>,
    },
    /// There is one already.
    #[error("there is a machine {0} already; `grange vm destroy {0}` removes it")]
    Exists(MachineName),
    /// It runs.
    #[error("the machine {0} runs, or is being started; `grange vm stop {0}` stops it")]
    Runs(MachineName),
    /// There are clones of it.
    #[error("there are clones of the machine {0} that run")]
    Lent(MachineName),
    /// Root would run it, and it was made by somebody else.
    #[error(
        "the machine {0} has no user of its own, so root does not run it; it was made by another user: destroy it and create it anew"
    )]
    NoUser(MachineName),
    /// It has keys for a guest that nothing leads to.
    #[error(
        "the machine {0} has keys, but no port of this host leads to port 1004 of it, where a guest without our program takes them"
    )]
    NoWay(MachineName),
    /// It does not run.
    #[error("the machine {0} does not run; `grange vm start {0}` starts it")]
    Stopped(MachineName),
    /// It cannot be as it is said.
    #[error("the machine {name} cannot be so")]
    Spec {
        /// Which.
        name: MachineName,
        /// Why not.
        #[source]
        source: SpecError,
    },
    /// Its description cannot be read.
    #[error("{} describes no machine", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: toml::de::Error,
    },
    /// It does not come up.
    #[error("the machine {name} cannot be started")]
    Boot {
        /// Which.
        name: MachineName,
        /// Why not.
        #[source]
        source: BootError,
    },
    /// A port that leads into it is taken.
    #[error(
        "the machine {name} cannot be started: port {port} of this host is taken; another one is given with --forward"
    )]
    Port {
        /// Which.
        name: MachineName,
        /// The port.
        port: u16,
    },
    /// A program that is needed is not there, or fails.
    #[error("{program} failed: {said}")]
    Program {
        /// The program.
        program: &'static str,
        /// What it says.
        said: String,
    },
    /// A key or list of keys is none.
    #[error("{} is {what}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// A file cannot be used.
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
}

fn others(known: &[MachineName]) -> String {
    if known.is_empty() {
        return "; `grange vm create NAME` makes one".into();
    }
    let names: Vec<&str> = known.iter().map(MachineName::as_str).collect();
    format!("; there is {}", names.join(", "))
}

/// Says what failed with which file.
pub(super) fn io(
    what: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> HomeError {
    let path = path.into();
    move |source| HomeError::Io { what, path, source }
}
