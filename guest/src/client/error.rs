//! Why a guest did not do it.

use std::io;
use std::sync::Arc;

use crate::mux::Ended;
use crate::protocol::{HandshakeError, ProtocolError, Turn};

/// Why a guest did not do it.
///
/// Whose turn it is: [`Self::Refused`] says so itself; [`Self::TooLong`], [`Self::TooMany`], [`Self::TooMuch`],
/// [`Self::Source`] and [`Self::Sink`] are the caller's; [`Self::Old`] is the operator's; all others are about the guest or the way to it: connect again, or start the machine again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The guest did not say hello before the deadline.
    #[error("the guest did not answer in time")]
    TimedOut,
    /// The guest's end of the connection was closed.
    #[error("the connection to the guest was closed")]
    Eof,
    /// The connection failed.
    #[error("the connection to the guest failed")]
    Io(#[source] Arc<io::Error>),
    /// Who is at the other end does not show that it is the guest.
    #[error("who answers is not the guest")]
    Stranger(#[source] HandshakeError),
    /// The guest's program is of an earlier version, which cannot do that.
    #[error("the guest's program is too old for that: build its image anew")]
    Old,
    /// The guest sent what it must not send.
    #[error("the guest broke the protocol")]
    Protocol(#[source] ProtocolError),
    /// The guest gave the conversation up.
    #[error("the guest gave up: {0}")]
    Broken(String),
    /// The guest makes us answer, but does not read the answers.
    #[error("the guest takes nothing, but wants answers")]
    Flood,
    /// The connection, or this stream of it, was dropped at this end.
    #[error("the stream to the guest was closed")]
    Closed,
    /// The guest does not do it.
    #[error("the guest refuses: {reason} ({turn})")]
    Refused {
        /// Who can mend it.
        turn: Turn,
        /// What the guest says.
        reason: String,
    },
    /// The request does not fit into a frame.
    #[error("the request has {0} bytes, which is more than a frame takes")]
    TooLong(usize),
    /// Too many streams at once.
    #[error("too many things are asked of the guest at once")]
    TooMany,
    /// There is more than the caller wants.
    #[error("there is more than {0} bytes of it")]
    TooMuch(u64),
    /// What was to be put into the guest cannot be read.
    #[error("cannot read what is to be sent")]
    Source(#[source] Arc<io::Error>),
    /// What came from the guest cannot be written.
    #[error("cannot write what was received")]
    Sink(#[source] Arc<io::Error>),
    /// A file did not arrive as the guest says that it sent it.
    #[error("the file did not arrive as it was sent")]
    Corrupt,
}

impl From<Ended> for ClientError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Eof => Self::Eof,
            Ended::Io(error) => Self::Io(error),
            Ended::Protocol(error) => Self::Protocol(error),
            Ended::Broken(reason) => Self::Broken(reason),
            Ended::Flood => Self::Flood,
            Ended::Dropped => Self::Closed,
        }
    }
}
