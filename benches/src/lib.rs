//! What the benchmarks of Grange share. The figures are in `docs/performance.md`.
//!
//! Each program in `benches/` measures one thing that a user would notice, and in the same run what that user would
//! have instead; what counts is the ratio of the two. They run with `cargo bench -p grange-benches --bench NAME`. Those
//! that start processes need `cargo build --release -p grange-bins` before.
//!
//! | module | what it does |
//! |---|---|
//! | [`run()`] | starts a benchmark, and nothing where it is only compiled or tested |
//! | [`agent`] | an agent that builds nothing |
//! | [`compare`] | a farm on a real daemon against that daemon's own command |
//! | [`farm`] | coordinator and agent as processes of their own, as users have them |
//! | [`guix`] | all of Guix as texts of derivations |
//! | [`load`] | asks an HTTP server for pages, on many connections |
//! | [`process`] | processor time and peak memory of a process |
//! | [`queues`] | one farm's queue kept in several ways, and the same turns taken with each |
//! | [`wire`] | the protocol over HTTP/1.1, said by one cheap thread |
//! | [`trivial`] | derivations that cost next to nothing, and the sandbox builder called in a loop |
//! | [`vm`] | virtual build machines, QEMU by itself, and what memory it holds |
//! | [`stats`] | medians and percentiles |
//! | [`report`] | what a benchmark prints |

pub mod agent;
mod daemon;
pub mod farm;
pub mod guix;
pub mod load;
pub mod process;
pub mod queues;
pub mod report;
mod run;
pub mod stats;
pub mod trivial;
pub mod vm;
pub mod wire;

pub use daemon::{authorized_key, compare};
pub use run::{argument, number, run};
