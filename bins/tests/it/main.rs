//! The programs, as processes.

#![expect(clippy::print_stdout, reason = "a skipped test says why")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod demo;
mod farm;
mod help;
mod history;
mod local;
mod process;
mod prune;
mod published;
mod real;
mod recorded;
mod resources;
mod stock;
mod upstream;
mod vm;
