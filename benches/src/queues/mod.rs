//! One farm's queue kept in several ways, and the same turns taken with each.

mod builds;
mod cluster;
mod plain;
mod plan;
mod shell;
mod sql;
mod turns;

pub use builds::{AGENTS, Builds, PRIORITIES, SYSTEMS};
pub use cluster::{Cluster, NOT_INSTALLED};
pub use plain::{Plain, State};
pub use plan::Plan;
pub use shell::CoreWay;
pub use sql::{Queue, SqlWay, Tables};
pub use turns::{Sampled, Turns, Way};
