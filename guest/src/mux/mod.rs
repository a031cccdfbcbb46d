//! Streams over one port, without the port: frames go in and come out, readers and writers of streams wait by wakers.
//!
//! Host and guest share it. The host polls it from tokio's tasks, the guest from threads that park. Nothing in it waits for the
//! other end: what it holds is bounded by windows and limits, whatever the other end sends or does not read.

mod channel;
mod core;
mod ended;
mod stream;
#[cfg(all(test, feature = "client"))]
mod tests;
mod wait;

#[cfg(feature = "client")]
pub(crate) use self::core::MAX_STREAMS;
pub(crate) use self::core::{Mode, Mux, Opened, Side};
pub(crate) use ended::Ended;
pub(crate) use wait::wait;
