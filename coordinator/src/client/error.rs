//! Why a client did not get what it asked for.

use std::io;

use grange_derivation::{ParseError, StorePath};
use grange_interfaces::{Fault, Refusal};

/// Why a closure could not be read where it was to come from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// An item is not there.
    #[error("`{path}` is not in {place}")]
    NotThere {
        /// Which.
        path: StorePath,
        /// Where it was looked for.
        place: String,
    },
    /// An item cannot be read.
    #[error("`{path}` cannot be read")]
    Io {
        /// Which.
        path: StorePath,
        /// Why.
        source: io::Error,
    },
    /// A derivation is not one.
    #[error("`{path}` is no derivation that can be built")]
    Derivation {
        /// Which.
        path: StorePath,
        /// What is wrong with it.
        source: Box<ParseError>,
    },
    /// The path of a derivation is not that of its text.
    #[error("the text of `{path}` belongs at `{computed}`")]
    WrongPath {
        /// What it is said to be.
        path: StorePath,
        /// What it is.
        computed: Box<StorePath>,
    },
    /// Derivations need each other.
    #[error("the derivations need each other in a circle: {0}")]
    Cycle(String),
    /// An item that no derivation makes has a path that does not follow from its content.
    #[error(
        "the path of `{0}` does not follow from its content, so it is no source; \
         the coordinator takes such an item only as the output of a derivation"
    )]
    NotASource(StorePath),
}

/// Why a client did not get what it asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The coordinator said no, or was not reached for as long as the client was patient.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The closure that was to be submitted cannot be read.
    #[error("the closure to submit is not complete")]
    Source(#[from] SourceError),
    /// The coordinator answered something else than the protocol has for the question.
    #[error(
        "the coordinator answered {question} with something else (this is a defect of the coordinator)"
    )]
    Answer {
        /// What was asked.
        question: &'static str,
    },
    /// A body broke off, again and again.
    #[error("the coordinator's answer broke off")]
    Body(#[source] io::Error),
    /// What was fetched is not what was announced.
    #[error("`{path}` as received: {what}")]
    Mismatch {
        /// Which item.
        path: String,
        /// What differs.
        what: String,
    },
    /// What was fetched cannot be written.
    #[error("cannot write `{place}`")]
    Write {
        /// Where.
        place: String,
        /// Why.
        source: io::Error,
    },
}

impl ClientError {
    /// Whose turn it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused(refusal) => refusal.fault,
            Self::Source(_) => Fault::Caller,
            Self::Answer { .. } => Fault::Us,
            Self::Body(_) => Fault::Busy,
            Self::Mismatch { .. } => Fault::Peer,
            Self::Write { .. } => Fault::Operator,
        }
    }
}
