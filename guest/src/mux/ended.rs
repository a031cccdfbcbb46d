//! Why a conversation is over.

use std::io;
use std::sync::Arc;

use crate::protocol::ProtocolError;

/// Why a conversation is over.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the other end closed the connection")]
    Eof,
    #[error("the connection failed")]
    Io(#[source] Arc<io::Error>),
    #[error("the other end broke the protocol")]
    Protocol(#[from] ProtocolError),
    #[error("the other end gave up: {0}")]
    Broken(String),
    #[error("the other end takes nothing, but wants answers")]
    Flood,
    #[cfg(feature = "client")]
    #[error("the connection was dropped here")]
    Dropped,
}

impl From<Ended> for io::Error {
    fn from(ended: Ended) -> Self {
        Self::new(io::ErrorKind::ConnectionAborted, ended)
    }
}
