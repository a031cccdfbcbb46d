//! What builds use up while they run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AttemptId, Timestamp};

/// Amounts of what builds use up while they run, and agents offer. [`CORES`], [`MEMORY`], [`DISK`], and tokens of any other
/// name: licences, places under `/dev/kvm`.
pub type Resources = BTreeMap<String, u64>;

/// Processor cores.
pub const CORES: &str = "cores";
/// Main memory, in bytes.
pub const MEMORY: &str = "memory";
/// Room in the file system where builds work, in bytes.
pub const DISK: &str = "disk";

/// What an attempt used, as far as its agent could tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Milliseconds that the builder ran.
    #[serde(default)]
    pub build_ms: Option<u64>,
    /// The most memory that it had at once, in bytes.
    #[serde(default)]
    pub peak_memory: Option<u64>,
}

/// Why an agent got an attempt, and why then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Since when its build could have been given to somebody.
    pub ready_at: Timestamp,
    /// Its derived priority when it was given.
    pub priority: i32,
    /// What made it possible in that moment.
    pub occasion: Occasion,
    /// How many other builds were ready that the same agents can take.
    pub others: u32,
}

/// What made it possible to give a build to an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Occasion {
    /// Not known: it was given by an older Grange.
    #[default]
    Unknown,
    /// The agent had room, and the build came first of all that it can take.
    Room,
    /// The build became ready, and of so many agents that had room this one was chosen.
    Ready {
        /// How many, at most as many as the policy looks at.
        agents: u32,
    },
    /// The agent had been kept free for it, as it needs more than was left on any.
    Reserved,
    /// It is urgent, and this attempt was dropped for it.
    Preempted {
        /// The attempt that had to go.
        dropped: AttemptId,
    },
}
