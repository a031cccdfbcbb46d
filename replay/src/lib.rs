//! Graphs of derivations, and the coordinator's core run on them in virtual time.
//!
//! A [`Graph`] is what a farm has to build: all of [Guix](Graph::guix), one [drawn by chance](Layers), or one read from a
//! [file](Graph::read). A [`Copies`] makes the records of it that a coordinator knows, as often as wanted, each time with other
//! store items. A [`Shell`] does for the real core what a coordinator does, in memory and at once.

mod chance;
mod config;
mod copies;
mod durations;
mod graph;
mod guix;
mod layers;
mod read;
mod shell;
mod versions;

pub use config::ConfigError;
pub use copies::Copies;
pub use durations::{Durations, Spread};
pub use graph::{Graph, GraphError, Node, Use};
pub use layers::Layers;
pub use shell::{Shell, Spent};
