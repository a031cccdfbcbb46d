//! What Grange reads from strangers, for fuzzers to try.
//!
//! A [`Target`] takes any bytes and does with them what a farm does; it panics if something that must hold does not. What
//! must hold: no panic, no more memory than is allowed, an end in time, and, where something is printed again, that it
//! reads the same.
//!
//! `corpus/NAME` holds inputs for each: those that reach code that no smaller one reaches, made from the project's fixtures, and those
//! that once found a defect (`found-…`). The tests of this crate try all of them, on any toolchain; `cargo xtask fuzz`
//! looks for more with libFuzzer, and `cargo xtask verify` does so for a moment.

mod core;
mod daemon;
mod formats;
mod guests;
mod http;
mod machines;
mod memory;
mod peers;
mod recordings;
mod requests;
mod runtime;
mod settings;
mod signed;
mod target;
mod watch;

pub use memory::MAX_MEMORY;
pub use target::{TARGETS, Target, target};
