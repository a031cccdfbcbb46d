//! How long builds will take, to go by how long others took.

use std::collections::HashMap;

use crate::chance::{self, Chance};
use crate::durations::Durations;
use crate::graph::Node;
use crate::workload::Workload;

/// Durations of builds of the past, and what follows from them for those to come.
///
/// A build is predicted to take a quantile of what builds of the same package took on the same system; if there was none,
/// the same quantile of all builds.
///
/// Who must not take a long build for a short one asks for the [cautious](Self::cautious) prediction: what has no history
/// may be long.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// 0 to 1.
    quantile: f64,
    /// Sorted milliseconds at speed 1, by package, system, and whether the output is fixed.
    history: HashMap<(String, String, bool), Vec<u64>>,
    /// What to say of those that have no history: of what is built, and of what is fixed.
    cold: [u64; 2],
    /// The same, to be on the safe side.
    cautious: [u64; 2],
}

/// The quantile that cautious predictions go by.
const CAUTIOUS: f64 = 0.99;

impl Predictions {
    /// None: everything takes a minute, and a download a second.
    #[must_use]
    pub fn none(quantile: f64) -> Self {
        Self {
            quantile,
            history: HashMap::new(),
            cold: [60_000, 1_000],
            cautious: [3_600_000, 60_000],
        }
    }

    /// From builds of the past: each with how long it took, in milliseconds at speed 1.
    #[must_use]
    pub fn new<'a>(quantile: f64, past: impl IntoIterator<Item = (&'a Node, u64)>) -> Self {
        let mut all = [Vec::new(), Vec::new()];
        let mut predictions = Self::none(quantile);
        for (node, duration_ms) in past {
            all[usize::from(node.fixed.is_some())].push(duration_ms);
            let of = predictions.history.entry(key(node)).or_default();
            of.push(duration_ms);
        }
        for durations in predictions.history.values_mut() {
            durations.sort_unstable();
        }
        for (of, mut all) in all.into_iter().enumerate() {
            all.sort_unstable();
            let (cold, cautious) = (&mut predictions.cold[of], &mut predictions.cautious[of]);
            *cold = at(&all, quantile).unwrap_or(*cold);
            *cautious = at(&all, CAUTIOUS).unwrap_or(*cautious);
        }
        predictions
    }

    /// From evaluations before the first of a workload: in each, every package of the graph but for a share that is new since
    /// (0 to 1) was built once.
    #[must_use]
    pub fn before(
        workload: &Workload,
        durations: &Durations,
        evaluations: u32,
        new: f64,
        quantile: f64,
    ) -> Self {
        let nodes = workload.copies().graph().nodes();
        let is_new = |node: &Node| {
            let package = chance::hash(node.package());
            Chance::new(durations.seed).with(0).with(package).unit() < new
        };
        let old = nodes.iter().filter(|node| !is_new(node));
        // Versions that no evaluation of the workload has.
        let versions = (0..evaluations).map(|number| u32::MAX - number);
        let past = old.flat_map(|node| {
            versions
                .clone()
                .map(move |version| (node, durations.of(node, version)))
        });
        Self::new(quantile, past)
    }

    /// Milliseconds at speed 1 that a job is said to take.
    #[must_use]
    pub fn of(&self, workload: &Workload, job: u32) -> u64 {
        self.predict(workload, job, self.cold)
    }

    /// The same, except that what has no history is said to take as long as the longest hundredth of all builds do at least.
    #[must_use]
    pub fn cautious(&self, workload: &Workload, job: u32) -> u64 {
        self.predict(workload, job, self.cautious)
    }

    fn predict(&self, workload: &Workload, job: u32, cold: [u64; 2]) -> u64 {
        let (_, node) = workload.place(job);
        let node = &workload.copies().graph().nodes()[node as usize];
        let past = self.history.get(&key(node));
        let past = past.and_then(|past| at(past, self.quantile));
        past.unwrap_or_else(|| cold[usize::from(node.fixed.is_some())])
    }
}

fn key(node: &Node) -> (String, String, bool) {
    let package = node.package().to_owned();
    (package, node.system.clone(), node.fixed.is_some())
}

/// The value at a quantile of sorted values: the least that at least so many are not above.
pub(crate) fn at(sorted: &[u64], quantile: f64) -> Option<u64> {
    let rank = (quantile.clamp(0.0, 1.0) * sorted.len() as f64).ceil();
    // Between 0 and the length.
    sorted.get((rank as usize).max(1) - 1).copied()
}
