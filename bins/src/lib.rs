//! Grange's programs: `grange`, `grange-coordinator`, `grange-agent`.
//!
//! | module | what |
//! |---|---|
//! | [`cli`] | what `grange` is told on its command line |
//! | [`commands`] | one module for each of its commands |
//! | [`demo`] | `grange demo`: a farm in one process |
//! | [`coordinator`] | `grange-coordinator` |
//! | [`agent`] | `grange-agent` |
//! | [`connect`], [`failure`], [`keys`], [`output`], [`progress`] | what they share |
//!
//! **Invariant:** only this crate reads the environment and ends the process; all it does otherwise is to put together
//! parts of the other crates.

pub mod agent;
pub mod cli;
pub mod commands;
pub mod connect;
pub mod coordinator;
pub mod demo;
pub mod durations;
mod fail_points;
pub mod failure;
pub mod keys;
pub mod logging;
mod open_files;
pub mod output;
pub mod places;
pub mod progress;
pub mod sizes;
pub mod upstream;
