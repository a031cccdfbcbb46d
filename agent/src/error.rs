//! Why an agent does not run.

use std::io;
use std::path::PathBuf;

use grange_interfaces::{Fault, Refusal};

/// Why an agent does not run (any more).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// A setting is not acceptable.
    #[error("{0}")]
    Config(String),
    /// The state directory cannot be used.
    #[error("cannot use the state directory: {what} {}", path.display())]
    StateDir {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// Another agent uses the state directory.
    #[error("another agent is using the state directory {}", .0.display())]
    Locked(PathBuf),
    /// Another process runs as the same agent, and came later.
    #[error("another process runs as this agent, and was started later: {}", .0.message)]
    Superseded(Refusal),
    /// The coordinator will not talk to this agent as it is.
    #[error("the coordinator refuses this agent: {0}")]
    Refused(Refusal),
}

impl AgentError {
    /// Whose turn it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Config(_) | Self::StateDir { .. } | Self::Locked(_) | Self::Superseded(_) => {
                Fault::Operator
            }
            Self::Refused(refusal) => refusal.fault,
        }
    }
}
