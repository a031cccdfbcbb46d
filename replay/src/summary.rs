//! What a replay comes to.

use std::time::Duration;

use crate::bounds::Bounds;
use crate::fairness::Fairness;
use crate::fleet::Fleet;
use crate::outcome::Outcome;
use crate::predict::at;
use crate::workload::Workload;

/// A replay in figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Attempts that ran to their end.
    pub builds: usize,
    /// Milliseconds from the start until the last build ended.
    pub makespan_ms: u64,
    /// What no policy could have fallen below.
    pub bounds: Bounds,
    /// The share of all slots and all time that something ran in, 0 to 1.
    pub busy: f64,
    /// The share of the fleet's work that it did: the same, where fast slots count for more.
    pub used: f64,
    /// How long builds waited when all that they need was there.
    pub waits: Waits,
    /// Milliseconds of attempts that were given up.
    pub wasted_ms: u64,
    /// How work was shared between submitters while all of them had some waiting.
    pub fairness: Fairness,
    /// The core's own time in all.
    pub core: Duration,
    /// The longest call of the core.
    pub core_longest: Duration,
}

/// Milliseconds from ready to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// In the mean.
    pub mean_ms: u64,
    /// Half of the builds waited no longer.
    pub p50_ms: u64,
    /// 90 % of them.
    pub p90_ms: u64,
    /// 99 % of them.
    pub p99_ms: u64,
    /// All of them.
    pub longest_ms: u64,
}

impl Summary {
    /// Of what came of this workload on this fleet.
    ///
    /// # Panics
    ///
    /// If it came of another.
    #[must_use]
    pub fn new(workload: &Workload, fleet: &Fleet, bounds: Bounds, outcome: &Outcome) -> Self {
        let makespan_ms = outcome.makespan_ms();
        let machines = fleet.machines();
        let (mut ran, mut did) = (0.0, 0.0);
        for built in &outcome.built {
            let took = (built.end_ms - built.start_ms) as f64;
            ran += took;
            did += took * machines[built.machine as usize].speed;
        }
        let share = |part: f64, of: f64| part / (of * makespan_ms.max(1) as f64);
        Self {
            builds: outcome.built.len(),
            makespan_ms,
            bounds,
            busy: share(ran, fleet.slots() as f64),
            used: share(did, fleet.capacity()),
            waits: Waits::new(outcome),
            wasted_ms: outcome.wasted_ms,
            fairness: Fairness::new(workload, fleet, outcome),
            core: outcome.spent.sum,
            core_longest: outcome.spent.longest,
        }
    }

    /// The makespan by the highest of the bounds: 1 is the best there can be.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.makespan_ms as f64 / self.bounds.highest_ms().max(1.0)
    }

    /// Microseconds of the core's own time for each build.
    #[must_use]
    pub fn core_us(&self) -> f64 {
        self.core.as_secs_f64() * 1e6 / self.builds.max(1) as f64
    }
}

impl Waits {
    fn new(outcome: &Outcome) -> Self {
        let waited = outcome.built.iter();
        let mut waited: Vec<u64> = waited.map(|it| it.start_ms - it.ready_ms).collect();
        waited.sort_unstable();
        let sum = waited
            .iter()
            .fold(0, |sum: u64, it| sum.saturating_add(*it));
        let mean_ms = sum / waited.len().max(1) as u64;
        let waited = |quantile| at(&waited, quantile).unwrap_or(0);
        Self {
            mean_ms,
            p50_ms: waited(0.5),
            p90_ms: waited(0.9),
            p99_ms: waited(0.99),
            longest_ms: waited(1.0),
        }
    }
}
