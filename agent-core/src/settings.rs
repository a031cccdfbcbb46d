//! What an operator decides.

use std::time::Duration;

/// How much an agent does at once, and how long it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many builds run at once; 0 counts as 1.
    pub parallel: u32,
    /// How many attempts more are prepared meanwhile.
    pub ahead: u32,
    /// How many results are sent at once; 0 counts as 1.
    pub uploads: u32,
    /// How many results may wait to be sent before no further build is begun: more of them take
    /// more room on disk. 0 counts as 1.
    pub results: u32,
    /// How long the coordinator may let an exchange wait for something to do. The longer, the fewer
    /// messages an idle agent sends; the coordinator allows at most 60 s.
    pub wait: Duration,
    /// How long beyond `wait` the agent waits for an answer before it takes the connection for dead; less where the lease
    /// would run out meanwhile.
    pub grace: Duration,
    /// What all waiting times are drawn from: agents with different seeds do not come back all at
    /// once to a coordinator that was restarted.
    pub seed: u64,
}

impl Default for Settings {
    /// One build at a time, one ahead, two uploads, 32 results, 30 s of waiting and 30 s of grace.
    fn default() -> Self {
        Self {
            parallel: 1,
            ahead: 1,
            uploads: 2,
            results: 32,
            wait: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            seed: 0,
        }
    }
}
