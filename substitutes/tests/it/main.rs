//! A site over records in memory.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod farm;
mod pages;
