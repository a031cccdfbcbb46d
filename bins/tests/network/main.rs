//! The programs on bad networks: cables that are pulled, lines that are slow, connections that are
//! killed or say nothing any more, and peers that are up to no good.
//!
//! What needs a cable of its own makes network namespaces, for which it must be root; everything
//! else is on loopback, behind a proxy where the network shall be bad.

#![expect(
    clippy::print_stdout,
    reason = "a test says why it was skipped, and what it measured"
)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod builds;
mod cable;
mod cut;
mod delayed;
mod farm;
mod half_open;
mod idle;
mod killed;
mod malformed;
mod process;
mod proxy;
mod raw;
mod slow;
mod throttled;
