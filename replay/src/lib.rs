//! Graphs of derivations, and the coordinator's core run on them in virtual time.
//!
//! A [`Graph`] is what a farm has to build: all of [Guix](Graph::guix), one [drawn by chance](Layers), or one read from a
//! [file](Graph::read). [`Copies`] make the records of it that a coordinator knows, as often as wanted, each time with other
//! store items, or with others only where an [evaluation](Copies::evaluations) changed something. A [`Shell`] does for the real core
//! what a coordinator does, in memory and at once.
//!
//! A [`Workload`] says who asks for what and when, and by a model of [`Durations`] how long each build takes. [`replay()`] has
//! a [`Fleet`] build it under a policy; [`Choice`] makes policies of names. [`Bounds`] say what no policy can beat.

mod agent;
mod bounds;
mod chance;
mod config;
mod copies;
mod durations;
mod farm;
mod fleet;
mod graph;
mod guix;
mod layers;
mod outcome;
mod policies;
mod predict;
mod read;
mod shell;
mod versions;
mod workload;

pub use bounds::Bounds;
pub use config::ConfigError;
pub use copies::Copies;
pub use durations::{Durations, Spread};
pub use farm::{ReplayError, replay};
pub use fleet::{Fleet, Machine, Speeds};
pub use graph::{Graph, GraphError, Node, Use};
pub use layers::Layers;
pub use outcome::{Built, Outcome};
pub use policies::{Choice, Fastest, Remaining};
pub use predict::Predictions;
pub use shell::{Shell, Spent};
pub use workload::{Job, Submission, Workload};
