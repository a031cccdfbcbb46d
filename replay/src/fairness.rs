//! How a farm's work is shared between those who ask for it.

use crate::fleet::Fleet;
use crate::outcome::{Built, Outcome};
use crate::workload::Workload;

/// How the farm's work was shared in the hours in which every submitter had something ready that waited for a machine.
///
/// Work is counted in seconds at speed 1, for who asked for it first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fairness {
    /// How many such hours of virtual time there were. None with a single submitter, nor of a farm that runs for so
    /// long that a table of all its hours and submitters has more than 20 million cells.
    pub hours: usize,
    /// Of all these hours and all submitters the share that was farthest from an equal one, less that: 0.02 is 2 points too
    /// much.
    pub worst: f64,
    /// In all these hours together: the share of each submitter, in the order of [`Workload::submitters`].
    pub shares: Vec<f64>,
}

/// Milliseconds.
const HOUR: u64 = 3_600_000;
/// Hours by submitters that are looked at, at most.
const CELLS: usize = 20_000_000;

impl Fairness {
    pub(crate) fn new(workload: &Workload, fleet: &Fleet, outcome: &Outcome) -> Self {
        let submitters = workload.submitters().len();
        if submitters < 2 {
            return Self::default();
        }
        let hours = usize::try_from(outcome.makespan_ms() / HOUR).unwrap_or(0);
        if hours.saturating_mul(submitters) > CELLS {
            return Self::default();
        }
        let of = |built: &Built| usize::from(workload.jobs()[built.job as usize].submitter);
        let mut waits: Vec<Vec<(u64, u64)>> = vec![Vec::new(); submitters];
        let mut work = vec![vec![0.0; submitters]; hours];
        for built in &outcome.built {
            waits[of(built)].push((built.ready_ms, built.start_ms));
            let speed = fleet.machines()[built.machine as usize].speed;
            for (hour, took) in by_hour(built) {
                if let Some(row) = work.get_mut(hour) {
                    row[of(built)] += took as f64 * speed;
                }
            }
        }
        let mut all_wait = vec![true; hours];
        for waits in waits {
            for (waits, all) in waiting(waits, hours).into_iter().zip(&mut all_wait) {
                *all &= waits;
            }
        }
        let rows = work.iter().zip(all_wait).filter(|(_, all)| *all);
        let rows: Vec<&Vec<f64>> = rows.map(|(row, _)| row).collect();
        let equal = 1.0 / submitters as f64;
        let share = |part: f64, row: &[f64]| part / row.iter().sum::<f64>().max(1.0);
        let apart = rows
            .iter()
            .flat_map(|row| row.iter().map(|part| share(*part, row) - equal));
        let farther = |one: f64, other: f64| if other.abs() > one.abs() { other } else { one };
        let sums = (0..submitters).map(|at| {
            rows.iter()
                .map(|row| row[at])
                .fold(0.0, |sum, part| sum + part)
        });
        let sums: Vec<f64> = sums.collect();
        Self {
            hours: rows.len(),
            worst: apart.fold(0.0, farther),
            shares: sums.iter().map(|sum| share(*sum, &sums)).collect(),
        }
    }
}

/// The hours in which something ran, and milliseconds in each.
fn by_hour(built: &Built) -> impl Iterator<Item = (usize, u64)> {
    let (start, end) = (built.start_ms, built.end_ms);
    (start / HOUR..=end / HOUR).map(move |hour| {
        let from = start.max(hour * HOUR);
        let to = end.min((hour + 1) * HOUR);
        (usize::try_from(hour).unwrap_or(usize::MAX), to - from)
    })
}

/// For each hour, whether one of these waits at any moment of it.
fn waiting(mut waits: Vec<(u64, u64)>, hours: usize) -> Vec<bool> {
    waits.sort_unstable();
    let mut waiting = vec![true; hours];
    let mut until = 0;
    let end = hours as u64 * HOUR;
    for (from, to) in waits.into_iter().chain([(end, end)]) {
        // Nothing waits in between.
        if from > until {
            for hour in until / HOUR..=(from - 1) / HOUR {
                let hour = usize::try_from(hour).unwrap_or(usize::MAX);
                if let Some(waiting) = waiting.get_mut(hour) {
                    *waiting = false;
                }
            }
        }
        until = until.max(to);
    }
    waiting
}
