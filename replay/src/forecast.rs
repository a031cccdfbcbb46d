//! How well the core says when builds will have ended.

use grange_coordinator_core::{Core, Eta};
use grange_model::BuildId;

use crate::outcome::Outcome;
use crate::workload::Workload;

/// Of how many unfinished builds it is asked at once.
const ASKED: usize = 100;

/// What the core said of a build. All times are milliseconds from the start of the farm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The number of the job in the workload.
    pub job: u32,
    /// When it was asked.
    pub asked_ms: u64,
    /// By then the build has ended as likely as not.
    pub p50_ms: u64,
    /// By then it has ended in nine cases of ten.
    pub p90_ms: u64,
}

/// How far forecasts came true.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calibration {
    /// How many there were.
    pub forecasts: usize,
    /// The share of builds that had ended by the median that was forecast, 0 to 1. Half would be right.
    pub by_p50: f64,
    /// The same for the quantile of nine tenths.
    pub by_p90: f64,
    /// By which factor the median is off, itself at the median: at least 1. 1.5: half of the builds took between two thirds and
    /// one and a half times as long as was forecast.
    pub factor: f64,
}

impl Calibration {
    /// Of all forecasts of a replay. None if there was none.
    #[must_use]
    pub fn new(workload: &Workload, outcome: &Outcome) -> Option<Self> {
        let mut ends = vec![None; workload.jobs().len()];
        for built in &outcome.built {
            ends[built.job as usize].get_or_insert(built.end_ms);
        }
        let known = outcome.forecasts.iter();
        let known: Vec<_> = known
            .filter_map(|it| Some((it, ends[it.job as usize]?)))
            .collect();
        if known.is_empty() {
            return None;
        }
        let share = |by: fn(&Forecast) -> u64| {
            let in_time = known.iter().filter(|(it, end)| *end <= by(it));
            in_time.count() as f64 / known.len() as f64
        };
        let mut factors: Vec<f64> = known
            .iter()
            .map(|(it, end)| {
                let since = |at: u64| at.saturating_sub(it.asked_ms).max(1) as f64;
                let ratio = since(*end) / since(it.p50_ms);
                ratio.max(1.0 / ratio)
            })
            .collect();
        factors.sort_unstable_by(f64::total_cmp);
        Some(Self {
            forecasts: known.len(),
            by_p50: share(|it| it.p50_ms),
            by_p90: share(|it| it.p90_ms),
            factor: factors[factors.len() / 2],
        })
    }
}

/// What the core says of some of its unfinished builds, evenly chosen.
pub(crate) fn ask(core: &Core, workload: &Workload, now: u64) -> Vec<Forecast> {
    let counts = core.counts();
    let all = counts.blocked + counts.ready + counts.running;
    let step = usize::try_from(all).unwrap_or(usize::MAX).div_ceil(ASKED);
    let asked = core.builds(None).step_by(step.max(1));
    let asked = asked.filter_map(|build| {
        let job = workload.find(build.record.spec.derivation)?;
        Some((build.record.spec.id, job))
    });
    let (builds, jobs): (Vec<BuildId>, Vec<u32>) = asked.unzip();
    let etas = core.etas(&builds);
    let forecasts = jobs.into_iter().zip(etas).filter_map(|(job, eta)| {
        let Eta::In { p50, p90, .. } = eta else {
            return None;
        };
        let at = |it: std::time::Duration| {
            now.saturating_add(u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
        };
        Some(Forecast {
            job,
            asked_ms: now,
            p50_ms: at(p50),
            p90_ms: at(p90),
        })
    });
    forecasts.collect()
}
