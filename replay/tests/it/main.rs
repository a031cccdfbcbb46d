//! Graphs, and farms that build them.

mod durations;
mod graphs;
mod shells;
