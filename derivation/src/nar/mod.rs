//! Nars: the archives that store items are hashed, sent and kept as.
//!
//! A nar is a sequence of strings, each with its length as 8 bytes little-endian in front and zeros up to a multiple
//! of 8 behind it:
//!
//! ```text
//! nar       = "nix-archive-1" node
//! node      = "(" "type" ( regular | symlink | directory ) ")"
//! regular   = "regular" [ "executable" "" ] "contents" BYTES
//! symlink   = "symlink" "target" TARGET
//! directory = "directory" { "entry" "(" "name" NAME "node" node ")" }    names strictly increasing, bytewise
//! ```
//!
//! One tree has one nar. Whatever would make it two (other orders, other padding) is refused, as is what could do harm
//! (`..`, `/` in names, depth without end).
//!
//! [`Decoder`] is fed slices and yields [`Event`]s; it does no I/O and its memory is bounded. [`Encoder`] is its
//! inverse over any writer. [`NarDigest`] only checks, hashes and counts. [`pack`], [`unpack`] and [`list`] are for
//! files.

mod check;
mod decoder;
mod encoder;
mod error;
mod event;
mod file;
pub mod fs;
mod listing;
mod wire;

pub use check::{Digested, NarDigest};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::Error;
pub use event::Event;
pub use file::of_file;
pub use fs::{FsError, digest_path, pack, unpack};
pub use listing::{Entry, Kind, ListError, list};
pub use wire::{MAX_DEPTH, MAX_NAME, MAX_TARGET};
