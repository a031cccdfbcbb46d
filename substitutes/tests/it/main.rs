//! A site over records in memory.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "it says why a test did not run")]

mod closures;
mod compressions;
mod farm;
mod files;
mod pages;
mod watched;
