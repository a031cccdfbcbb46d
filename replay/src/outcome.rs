//! What came of a replay.

use crate::forecast::Forecast;
use crate::shell::Spent;

/// Everything that was built, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Each attempt that ran to its end, in the order of their ends.
    pub built: Vec<Built>,
    /// Milliseconds of attempts that were given up: another had made the same fixed output meanwhile.
    pub wasted_ms: u64,
    /// What the core said of builds before they ended, if it was asked.
    pub forecasts: Vec<Forecast>,
    /// What the core took.
    pub spent: Spent,
}

/// An attempt that ran to its end. All times are milliseconds from the start of the farm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// The number of the job in the workload.
    pub job: u32,
    /// The number of the machine in the fleet.
    pub machine: u32,
    /// The number of the slot on it.
    pub slot: u32,
    /// When somebody wanted it and all its inputs were there.
    pub ready_ms: u64,
    /// When it began.
    pub start_ms: u64,
    /// When it ended.
    pub end_ms: u64,
}

impl Outcome {
    /// Milliseconds from the start until the last build ended.
    #[must_use]
    pub fn makespan_ms(&self) -> u64 {
        self.built.iter().map(|it| it.end_ms).max().unwrap_or(0)
    }
}
