//! `kill -9` of coordinator and agent, twenty times each, at any moment of a farm's life: nothing
//! that was acknowledged is lost, and nothing that has ended is done again.

#![expect(
    clippy::print_stdout,
    reason = "a test says why it was skipped, and its seed"
)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod builds;
mod crash;
mod processes;
mod random;
