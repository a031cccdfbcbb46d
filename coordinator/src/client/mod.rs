//! The client's side of the protocol: a [`Client`] over any [`Endpoint`](grange_interfaces::Endpoint).
//!
//! | what | how |
//! |---|---|
//! | [`Client::submit`] | asks what the coordinator lacks, sends only that, asks for builds |
//! | [`Client::waiter`] | waits for builds to end, over reconnects, by following the journal |
//! | [`Client::log`] | reads a build's log, over reconnects, without missing a byte |
//! | [`Client::fetch`] | unpacks an item into a directory and verifies it on the way |
//! | [`Client::builds`], [`Client::agents`], … | one message each |
//!
//! A [`ClosureSource`] says where derivations and sources come from: a [`DirectorySource`] for a store on disk,
//! a [`MemorySource`] for what a program wrote itself.
//!
//! **Invariant:** whatever may be asked twice is asked again while the coordinator is busy or not reached, for as
//! long as [`Client::with_patience`] says; every message of the protocol may be sent again.

mod agents;
mod artifacts;
mod batch;
mod builds;
mod directory;
mod error;
mod fetch;
mod handle;
mod history;
mod lacking;
mod log;
mod memory;
mod nar_stream;
mod patience;
mod source;
mod source_info;
mod submit;
#[cfg(test)]
mod tests;
mod unpack;
mod upload;
mod waiter;

pub use builds::BuildPages;
pub use directory::DirectorySource;
pub use error::{ClientError, SourceError};
pub use handle::{Client, Welcome};
pub use log::{LogPiece, LogReader};
pub use memory::MemorySource;
pub use source::{ClosureSource, SourceInfo};
pub use submit::{Progress, Sent, Submitted};
pub use waiter::Waiter;
