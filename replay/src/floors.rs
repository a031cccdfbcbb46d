//! Long builds are kept from slow machines.

use std::collections::BTreeMap;

use grange_model::Tags;

use crate::fleet::{Fleet, Machine};
use crate::policies::remaining;
use crate::workload::Workload;

/// For each job, how slow a machine may be that gets it.
///
/// The core gives an agent that waits whatever it can take, and a build of twelve hours to a machine of half speed: that alone
/// takes longer than all else on the fast ones. So whoever submits says what a build requires, as anybody can: tags
/// `floor-N`, which the machines offer that are fast enough. For that each derivation is submitted by itself.
///
/// A machine is fast enough if it needs no more time than the fastest one and an allowance. This is a share of the critical
/// path on the fastest machine.
#[derive(Clone, Debug)]
pub struct Floors {
    /// Speeds, rising; the first is that of the slowest machine.
    speeds: Vec<f64>,
    /// By job: the number of its floor among these.
    of: Vec<u8>,
}

/// Floors at most: each is a class of builds for each system. With few of them the longest builds are left to the one machine that is
/// fastest: with twelve for forty machines all of Guix took 1.6 times as long as with forty.
const MOST: usize = 64;

impl Floors {
    /// With these durations in milliseconds, by job, and an allowance of that share of the critical path.
    #[must_use]
    pub fn new(
        workload: &Workload,
        fleet: &Fleet,
        share: f64,
        duration_ms: impl Fn(u32) -> u64,
    ) -> Self {
        let speeds = speeds(fleet);
        let path = remaining(workload, &duration_ms).into_iter().max();
        let allowance = share * path.unwrap_or(0) as f64 / fleet.fastest();
        let mut fastest: BTreeMap<&str, f64> = BTreeMap::new();
        for machine in fleet.machines() {
            for system in &machine.systems {
                let fastest = fastest.entry(system.as_str()).or_insert(machine.speed);
                *fastest = fastest.max(machine.speed);
            }
        }
        let jobs = u32::try_from(workload.jobs().len()).unwrap_or(u32::MAX);
        let of = (0..jobs).map(|job| {
            let duration = duration_ms(job) as f64;
            let fastest = fastest.get(workload.system(job)).copied().unwrap_or(0.0);
            let within = |speed: f64| duration / speed <= duration / fastest + allowance;
            let below = speeds.partition_point(|speed| *speed < fastest && !within(*speed));
            // The floor must not lie above the fastest machine that has the system.
            let highest = speeds.partition_point(|speed| *speed <= fastest);
            u8::try_from(below.min(highest.saturating_sub(1))).unwrap_or(0)
        });
        Self {
            of: of.collect(),
            speeds,
        }
    }

    /// What a job requires.
    pub(crate) fn requires(&self, job: u32) -> Tags {
        let floor = self.of[job as usize];
        let tag = (floor > 0).then(|| (name(usize::from(floor)), "yes".to_owned()));
        tag.into_iter().collect()
    }

    /// What a machine offers.
    pub(crate) fn offers(&self, machine: &Machine) -> Tags {
        let floors = self.speeds.iter().enumerate().skip(1);
        let floors = floors.filter(|(_, speed)| machine.speed >= **speed);
        let tags = floors.map(|(floor, _)| (name(floor), "yes".to_owned()));
        tags.collect()
    }
}

/// The speeds of a fleet, or some of them; rising.
fn speeds(fleet: &Fleet) -> Vec<f64> {
    let mut speeds: Vec<f64> = fleet.machines().iter().map(|it| it.speed).collect();
    speeds.sort_unstable_by(f64::total_cmp);
    speeds.dedup();
    let count = speeds.len();
    if count <= MOST {
        return speeds;
    }
    (0..MOST)
        .map(|at| speeds[at * (count - 1) / (MOST - 1)])
        .collect()
}

fn name(floor: usize) -> String {
    format!("floor-{floor}")
}
