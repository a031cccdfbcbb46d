//! Why a daemon did not do it.

use std::io;

use grange_interfaces::LocalStoreError;

use crate::wire::{Version, WireError};

/// Why a daemon did not do it. Each says whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// Nobody listens: the operator starts the daemon, or names its socket.
    #[error("no daemon listens at {socket}: {why}")]
    Unreachable {
        /// Where.
        socket: String,
        /// What the system says.
        why: String,
    },
    /// The daemon's version is not one of those that are known: the operator takes another one.
    #[error("the daemon speaks version {spoken} of the protocol; {known}")]
    Version {
        /// Its version.
        spoken: Version,
        /// What would do.
        known: &'static str,
    },
    /// The connection ended: the daemon was stopped, or crashed.
    #[error("the daemon closed the connection")]
    Closed,
    /// The connection failed.
    #[error("the connection to the daemon failed: {0}")]
    Connection(String),
    /// Nothing came for longer than the patience that was set.
    #[error("the daemon has said nothing for {seconds} s")]
    Stalled {
        /// How long.
        seconds: u64,
    },
    /// It does not keep to the protocol.
    #[error("the daemon does not keep to the protocol")]
    Nonsense(#[from] WireError),
    /// It answered with an error.
    #[error("the daemon says: {message}")]
    Refused {
        /// For people.
        message: String,
        /// 1 in general, 100 a build failed, 101 it took too long; none from newer Nix.
        status: Option<u64>,
    },
    /// The farm key is not authorised: the operator runs the command.
    #[error(
        "the daemon does not accept the farm key ({message}); to authorise it, run as root: {command}"
    )]
    Unauthorised {
        /// What the daemon says.
        message: String,
        /// What authorises it.
        command: String,
    },
    /// A guix-daemon takes items only with a signature: the operator configures a farm key.
    #[error("a guix-daemon takes items only with a signature, and no farm key is configured")]
    NoKey,
}

impl DaemonError {
    pub(crate) fn io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Connection(error.to_string()),
        }
    }

    /// This error and what it came from, in one line.
    pub(crate) fn full(&self) -> String {
        match self {
            Self::Nonsense(error) => format!("{self}: {error}"),
            _ => self.to_string(),
        }
    }

    /// Whether there is no room where the daemon's store lies.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if says_full(message))
    }
}

/// What the system says when there is no room; daemons pass it on.
pub(crate) fn says_full(message: &str) -> bool {
    message.contains("No space left on device") || message.contains("Disk quota exceeded")
}

impl From<DaemonError> for LocalStoreError {
    fn from(error: DaemonError) -> Self {
        if error.is_full() {
            Self::Full
        } else {
            Self::Io(error.full())
        }
    }
}
