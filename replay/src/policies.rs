//! Policies by name.

use std::sync::Arc;
use std::time::Duration;

use grange_coordinator_core::{
    ByCriticalPath, ByPriority, ByTags, Candidate, Order, Placement, Policy, Seat,
};

use crate::agent::machine_of;
use crate::config::ConfigError;
use crate::copies::Copies;
use crate::fleet::Fleet;
use crate::floors::Floors;
use crate::predict::Predictions;
use crate::workload::Workload;

/// A policy that was chosen by name: parts between `+`.
///
/// | part | what it does |
/// |---|---|
/// | `fifo` | nothing: who was submitted first comes first |
/// | `share` | submitters share the machines equally; what follows counts among the builds of each |
/// | `priority` | the highest priority first |
/// | `critical-path` | first whatever has most before it: its own duration and those of what needs it, the longest way |
/// | `predicted-path` | the same, with durations that were predicted from a history |
/// | `learned-path` | the same, with durations that the core has learned from what was built before in this very run |
/// | `fastest` | of all machines that wait, the fastest gets the build: the policy's `lookahead` covers the fleet |
/// | `floors` | builds that are known to be long require a machine that is fast: see [`Floors`] |
/// | `predicted-floors` | the same for builds that are predicted to be long, and for those that have no history |
///
/// Orders are compared in the order of their parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    name: String,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Fifo,
    Share,
    Priority,
    CriticalPath,
    PredictedPath,
    LearnedPath,
    Fastest,
    Floors,
    PredictedFloors,
}

/// How a farm is run: the policy of its core, and what builds require beside it.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What the core is told.
    pub policy: Policy,
    /// None: all builds may go wherever their systems are.
    pub floors: Option<Floors>,
    /// How often the core is asked when some builds will have ended. None: it is not asked.
    pub forecast_every: Option<Duration>,
}

impl From<Policy> for Rules {
    fn from(policy: Policy) -> Self {
        Self {
            policy,
            floors: None,
            forecast_every: None,
        }
    }
}

/// What a machine may take longer than the fastest one, as a share of the critical path. The less, the fewer long builds are
/// late; but the fewer machines share them.
const ALLOWANCE: f64 = 0.04;

impl Choice {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// A part is unknown.
    pub fn read(name: &str) -> Result<Self, ConfigError> {
        let parts = name.split('+').map(|part| match part {
            "fifo" => Ok(Part::Fifo),
            "share" => Ok(Part::Share),
            "priority" => Ok(Part::Priority),
            "critical-path" => Ok(Part::CriticalPath),
            "predicted-path" => Ok(Part::PredictedPath),
            "learned-path" => Ok(Part::LearnedPath),
            "fastest" => Ok(Part::Fastest),
            "floors" => Ok(Part::Floors),
            "predicted-floors" => Ok(Part::PredictedFloors),
            _ => Err(ConfigError::new(
                "policy",
                format!(
                    "`{part}` is unknown; there are fifo, share, priority, critical-path, predicted-path, learned-path, fastest, floors and \
                     predicted-floors, and + between them"
                ),
            )),
        });
        Ok(Self {
            name: name.to_owned(),
            parts: parts.collect::<Result<_, _>>()?,
        })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rules, for this workload and fleet. `predictions` is asked for what they are needed for only.
    #[must_use]
    pub fn rules(&self, workload: &Workload, fleet: &Fleet, predictions: &Predictions) -> Rules {
        let known = |job: u32| workload.jobs()[job as usize].duration_ms;
        let predicted = |job: u32| predictions.of(workload, job);
        let mut rules = Rules::default();
        let policy = &mut rules.policy;
        policy.order = Vec::new();
        for part in &self.parts {
            match part {
                Part::Fifo => {}
                Part::Share => {
                    policy.share = Some(Arc::new(ByTags {
                        keys: vec!["submitter".to_owned()],
                        ..ByTags::default()
                    }));
                }
                Part::Priority => policy.order.push(Arc::new(ByPriority)),
                Part::CriticalPath => policy.order.push(Arc::new(Remaining::new(workload, known))),
                Part::PredictedPath => {
                    let order = Remaining::new(workload, predicted);
                    policy.order.push(Arc::new(order));
                }
                Part::LearnedPath => policy.order.push(Arc::new(ByCriticalPath)),
                Part::Fastest => {
                    policy.placement = Some(Arc::new(Fastest::new(fleet)));
                    // Otherwise it sees only those that have waited longest.
                    policy.lookahead = policy.lookahead.max(fleet.machines().len());
                }
                Part::Floors => {
                    rules.floors = Some(Floors::new(workload, fleet, ALLOWANCE, known));
                }
                Part::PredictedFloors => {
                    let cautious = |job: u32| predictions.cautious(workload, job);
                    rules.floors = Some(Floors::new(workload, fleet, ALLOWANCE, cautious));
                }
            }
        }
        rules
    }
}

/// The longest way to the end first. It looks up what was computed beforehand, since an order's key must not change.
#[derive(Debug)]
pub struct Remaining {
    copies: Copies,
    nodes: usize,
    /// Milliseconds, by copy and number.
    table: Vec<i64>,
}

impl Remaining {
    /// With these durations in milliseconds, by job.
    #[must_use]
    pub fn new(workload: &Workload, duration_ms: impl Fn(u32) -> u64) -> Self {
        let remaining = remaining(workload, duration_ms);
        let copies = workload.copies().clone();
        let nodes = copies.graph().nodes().len();
        let mut table = vec![0; nodes * copies.copies() as usize];
        for (job, remaining) in (0..).zip(remaining) {
            let (copy, node) = workload.place(job);
            let at = copy as usize * nodes + node as usize;
            table[at] = i64::try_from(remaining).unwrap_or(i64::MAX);
        }
        Self {
            copies,
            nodes,
            table,
        }
    }
}

impl Order for Remaining {
    fn key(&self, candidate: &Candidate<'_>) -> i64 {
        let place = self.copies.locate(candidate.derivation.digest);
        place.map_or(0, |(copy, node)| {
            -self.table[copy as usize * self.nodes + node as usize]
        })
    }
}

/// For each job its own duration and the durations of those that need it, the longest way; milliseconds.
#[must_use]
pub(crate) fn remaining(workload: &Workload, duration_ms: impl Fn(u32) -> u64) -> Vec<u64> {
    let jobs = workload.jobs().len();
    let mut remaining = vec![0_u64; jobs];
    for job in (0..u32::try_from(jobs).unwrap_or(u32::MAX)).rev() {
        // Whatever needs it stands behind it, and has told it by now.
        let own = remaining[job as usize].saturating_add(duration_ms(job));
        remaining[job as usize] = own;
        for input in workload.inputs(job) {
            let input = &mut remaining[*input as usize];
            *input = own.max(*input);
        }
    }
    remaining
}

/// The fastest machine that waits.
#[derive(Debug)]
pub struct Fastest {
    /// Thousandths, by machine.
    speeds: Vec<i64>,
}

impl Fastest {
    /// Of this fleet.
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        let speeds = fleet.machines().iter();
        // At most a million.
        let speeds = speeds.map(|machine| (machine.speed * 1e3) as i64);
        Self {
            speeds: speeds.collect(),
        }
    }
}

impl Placement for Fastest {
    fn fit(&self, _: &Candidate<'_>, seat: &Seat<'_>) -> i64 {
        let speed = self.speeds.get(machine_of(seat.agent));
        speed.copied().unwrap_or(0)
    }
}
