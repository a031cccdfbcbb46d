//! The worker protocol as bytes: no I/O, no clock, nothing that waits.
//!
//! Integers are 8 bytes, little-endian; strings have their length in front and zeros up to a multiple of 8 behind;
//! lists have their count in front. A client writes [`Request`]s; a daemon answers each with [`Frame`]s up to
//! [`Frame::Last`] (or [`Frame::Error`]) and then a result, which is read with a [`Cursor`]. Every length is bounded,
//! so a daemon that talks nonsense is told apart from one that has not finished its sentence, and costs no memory.
//!
//! Forms were observed on guix-daemon 1.2.0 and 1.5.0 and nix-daemon 2.8.0 and 2.34.8.

mod cursor;
mod error;
mod frame;
mod opcode;
mod request;
mod trace;
mod version;

pub(crate) use frame::plain;

pub use cursor::{Cursor, MAX_ITEMS, MAX_TEXT};
pub use error::{ReadError, WireError};
pub use frame::{Field, Frame};
pub use opcode::Opcode;
pub use request::Request;
pub use trace::{MAX_LINE, Trace, Traces};
pub use version::{CLIENT_MAGIC, DAEMON_MAGIC, Version};
