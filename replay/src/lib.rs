//! Graphs of derivations, and the coordinator's core run on them in virtual time.
//!
//! A [`Graph`] is what a farm has to build: all of [Guix](Graph::guix), one [drawn by chance](Layers), or one read from a
//! [file](Graph::read). [`Copies`] make the records of it that a coordinator knows, as often as wanted, each time with other
//! store items, or with others only where an [evaluation](Copies::evaluations) changed something. A [`Shell`] does for the real core
//! what a coordinator does, in memory and at once; a [`Rush`] gives it more than it can do.
//!
//! A [`Workload`] says who asks for what and when, and by a model of [`Durations`] how long each build takes. [`replay()`] has
//! a [`Fleet`] build it under a policy; [`Choice`] makes rules of names. A [`Summary`] compares what came of it with
//! [`Bounds`] that no policy can beat, and [`gantt()`] draws it. A farm that was [`Recorded`] gives all of these:
//! workload, fleet, and what came of it:
//!
//! ```
//! use std::time::Duration;
//!
//! use grange_replay::*;
//!
//! let graph = Layers { nodes: 100, width: 10, degree: 3, seed: 1 }.draw();
//! let durations = Durations::default();
//! let workload = Workload::each_copy(Copies::new(graph, 1), Duration::ZERO, 1, &durations)?;
//! let fleet = Fleet::read("[[machine]]\nsystems = [\"x86_64-linux\"]\nslots = 4")?;
//!
//! let rules = Choice::read("critical-path")?.rules(&workload, &fleet, &Predictions::none(0.5));
//! let outcome = replay(&workload, &fleet, rules, || Duration::ZERO)?;
//!
//! let bounds = Bounds::new(&workload, &fleet);
//! assert!(Summary::new(&workload, &fleet, bounds, &outcome).ratio() >= 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agent;
mod bounds;
mod chance;
mod config;
mod copies;
mod durations;
mod fairness;
mod farm;
mod fleet;
mod floors;
mod forecast;
mod gantt;
mod graph;
mod guix;
mod layers;
mod outcome;
mod policies;
mod predict;
mod read;
mod recorded;
mod rush;
mod shell;
mod summary;
mod versions;
mod workload;

pub use bounds::Bounds;
pub use config::ConfigError;
pub use copies::Copies;
pub use durations::{Durations, Spread};
pub use fairness::Fairness;
pub use farm::{ReplayError, check, replay};
pub use fleet::{Fleet, Machine, SPEEDS, Speeds};
pub use floors::Floors;
pub use forecast::{Calibration, Forecast};
pub use gantt::gantt;
pub use graph::{Graph, GraphError, Node, Use};
pub use layers::Layers;
pub use outcome::{Built, Outcome};
pub use policies::{Choice, Fastest, Remaining, Rules};
pub use predict::Predictions;
pub use recorded::{Recorded, RecordedError};
pub use rush::Rush;
pub use shell::{Shell, Spent};
pub use summary::{Summary, Waits};
pub use workload::{Job, Submission, Workload};
