//! `kill -9` of coordinator and agent, twenty times each while builds are submitted, begin, say
//! something, are sent and are committed: nothing that was acknowledged is lost, and nothing that
//! has ended is done again.

#![expect(
    clippy::print_stdout,
    reason = "a test says why it was skipped, and its seed"
)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod builds;
mod crash;
mod moments;
mod processes;
mod random;
