//! Graphs, and farms that build them.

mod graphs;
mod shells;
