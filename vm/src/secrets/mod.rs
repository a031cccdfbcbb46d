//! Secrets for guests by Guix's secret service (`gnu/build/secret-service.scm`), version 0: what childhurds and Guix's own virtual
//! build machines wait for at port 1004 when they boot.
//!
//! The protocol acknowledges nothing: whoever sends does not learn whether anything arrived. Guests of ours are given secrets by their channel,
//! which does. Here, both ends are stricter than Guix's: sizes are checked, and a file appears whole or not at all.

mod datum;
mod receive;
mod send;

pub use receive::receive_secrets;
pub use send::{SecretFile, connect_and_send, send_secrets};

use std::io;

/// Secrets did not get to the other end, or what came is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// The other end speaks something else.
    #[error("the other end does not speak the secret service's protocol: {0}")]
    Protocol(String),
    /// It speaks only other versions of it.
    #[error(
        "the other end speaks version {0} of the secret service's protocol, and only 0 is known here"
    )]
    Version(i64),
    /// The connection failed, or ended too early.
    #[error("the connection to the other end failed")]
    Connection(#[source] io::Error),
    /// Nobody listens.
    #[error("nothing in the guest has asked for secrets within {0} s")]
    Nobody(u64),
    /// A file is named where none may be.
    #[error("the other end wants to write {0:?}: a path must be absolute, without `.` and `..`")]
    Path(String),
    /// A file is larger than is allowed.
    #[error("the other end wants to write a file of {0} bytes; 64 MiB at most are allowed")]
    Size(u64),
    /// A file cannot be written.
    #[error("the secret {0} cannot be written")]
    Write(String, #[source] io::Error),
}
