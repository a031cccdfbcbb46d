//! Graphs, and farms that build them.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bounds;
mod durations;
mod farms;
mod fleets;
mod forecasts;
mod graphs;
mod predictions;
mod recorded;
mod shells;
mod summaries;
