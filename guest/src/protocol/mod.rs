//! What host and guest say to each other over a serial port or AF_VSOCK: frames, requests, answers. Pure; it does no I/O.
//!
//! # Frames
//!
//! All numbers are big-endian. A frame is a head of 16 bytes, a payload of at most [`MAX_PAYLOAD`], and one byte that
//! ends it:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic, [`MAGIC`] |
//! | 1 | [`Kind`] |
//! | 1 | channel, 0 or 1 |
//! | 2 | zero |
//! | 4 | stream |
//! | 4 | length of the payload |
//! | length | payload |
//! | 1 | [`END`] |
//!
//! # Conversations
//!
//! A serial port has neither a beginning nor an end. When a host has died and another connects, or a virtual machine was saved
//! in the middle of a frame and goes on as a clone, then what either end reads first is the rest of something. So:
//!
//! * The host begins with a *break*, [`BREAK`] zero bytes, which is as long as the longest frame, and then says hello with a random nonce.
//!   Whatever the guest was in the middle of is filled up by zeros, ends in one, and so is no frame; and where the hello
//!   begins, no frame goes on. (Without the break, a hello after half a frame would be taken for that frame's payload.)
//! * The guest ends everything of the conversation before, kills its processes, and answers with the same nonce. What it was
//!   in the middle of writing it writes to the end first.
//! * The host skips everything until the answer with its nonce. (If it took the first answer that it saw, it could be one to the host before.)
//!
//! # Streams
//!
//! A stream begins with [`Kind::Open`], whose payload is a [`Request`] (on the control port; empty on a relay's), and carries data on two
//! channels each way: a process's input is channel 0, its output 0, what it says on standard error 1. Of each channel, [`WINDOW`]
//! bytes may be on their way; each [`Kind::Credit`] allows more. They are per channel, so that
//! who reads a process's output only is not stuck because of its errors. [`Kind::Progress`] and [`Kind::Answer`] carry an [`Answer`]; after the
//! latter the stream is over, as it is after [`Kind::Close`], and on a relay's port when both ends have sent [`Kind::End`]. Its number is not used again in this conversation, and
//! what still arrives for it is ignored: the other end may not know yet.
//!
//! On the control port the host opens streams, on a relay's port the guest does, one for each connection.
//!
//! # AF_VSOCK
//!
//! Asked to ([`Request::Listen`], since version 2), the guest listens on AF_VSOCK as well. A connection there has a beginning and an end, carries one
//! conversation as a control port does, and begins with a [`handshake`].

mod answer;
mod decoder;
mod digest;
mod error;
mod frame;
pub mod handshake;
mod request;

pub use answer::{Answer, Exit, Turn, Welcome};
pub use decoder::Decoder;
pub use digest::Digest;
pub use error::ProtocolError;
pub use frame::{
    BREAK, END, Frame, HEAD, Kind, MAGIC, MAX_HELLO, MAX_PAYLOAD, NONCE, Nonce, WINDOW,
};
pub use handshake::{ChannelSecret, HandshakeError, VsockAddress};
pub use request::{
    Exec, Hello, MAX_SEED, MIN_SEED, Put, Request, VERSION, VERSION_OF_LISTEN, check_path,
};
