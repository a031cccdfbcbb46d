//! Graphs, and farms that build them.

mod bounds;
mod durations;
mod farms;
mod fleets;
mod graphs;
mod predictions;
mod shells;
mod summaries;
