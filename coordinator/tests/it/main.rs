//! The coordinator as agents and clients meet it, over its own endpoint: what is right, what is
//! wrong, and what comes late, twice or never.

#![expect(clippy::print_stdout, reason = "a skipped test says why")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod agent;
mod clock;
mod conformance;
mod derivations;
mod door;
mod farm;
mod fenced;
mod gates;
mod history;
mod hooks;
mod items;
mod logs;
mod meaning;
mod outputs;
mod patience;
mod peers;
mod prune;
mod prune_races;
mod recording;
mod restart;
mod submit;
mod sweep;
mod uploads;
mod upstream;
