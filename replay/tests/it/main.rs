//! Graphs, and farms that build them.

mod bounds;
mod durations;
mod farms;
mod fleets;
mod graphs;
mod shells;
mod summaries;
