//! Once all is healed, everything that can be built is built.
//!
//! Counter-example: an input becomes available in the moment in which a build is told that it is
//! expected. If it never hears of that, it waits for ever, and nothing says so.

use std::collections::BTreeSet;

use grange_coordinator_core::TimerReason;
use grange_model::{BuildState, Digest, OutputRef};

use crate::farm::Farm;
use crate::scenario::build_id;
use crate::time::Moment;
use crate::violation::Violation;

/// How long the farm may take for it, in microseconds: twelve hours. A coordinator whose clock was set
/// back by an hour may need that hour to notice that an agent is gone.
const PATIENCE: u64 = 12 * 3_600_000_000;
/// How many events the whole may take.
const MOST_EVENTS: u64 = 20_000_000;

impl Farm {
    /// Until when it must be done.
    pub(crate) fn deadline(&self) -> Moment {
        Moment(self.scenario.heal_at.0).plus(PATIENCE)
    }

    pub(crate) fn is_done(&self, asked: bool) -> bool {
        let Some(front) = self.coordinators.front().filter(|_| asked) else {
            return false;
        };
        let works = matches!(front.core.poll_timeout(), Some((_, TimerReason::Work)));
        !works
            && front.commit.is_none()
            && self.clients.are_content()
            && front.core.builds(None).next().is_none()
            && self.hook_is_done()
            && self.agents.iter().all(|agent| agent.is_idle())
    }

    pub(crate) fn is_late(&self) -> bool {
        self.now > self.deadline() || self.counts.events > MOST_EVENTS
    }

    pub(crate) fn late(&self) -> Violation {
        let Some(front) = self.coordinators.front() else {
            return self.violated("live", "there is no coordinator".to_owned());
        };
        let left = front.core.builds(None).take(5).map(|build| {
            let why = front.core.why(build.record.spec.id);
            format!(
                "{} is {:?}: {why:?}",
                build.record.derivation.name, build.state
            )
        });
        let left: Vec<_> = left.collect();
        let busy = self.agents.iter().filter(|agent| !agent.is_idle()).count();
        let detail = format!(
            "it does not come to an end: {left:?}; {busy} agents hold something; clients are content: {}; the \
             hook has heard of everything: {}",
            self.clients.are_content(),
            self.hook_is_done(),
        );
        self.violated("live", detail)
    }

    /// What was asked for in the end has ended as it must.
    pub(crate) fn check_ends(&self) -> Result<(), Violation> {
        let (made, can) = self.buildable();
        for (at, derivation) in (0..).zip(&self.scenario.graph) {
            let id = build_id(3, at);
            let ended = self.store.finished(id).map(|finished| finished.state);
            let made = |output: &OutputRef| made.contains(&output.item.digest);
            let pruned = |output: &OutputRef| self.late_prunes.contains(&output.item.digest);
            let mut outputs = derivation.outputs.iter();
            let right = if can.contains(&derivation.item.digest) {
                ended == Some(BuildState::Succeeded)
            } else if derivation.outputs.iter().all(made) {
                // Another derivation has brought its outputs, before it failed or after.
                ended.is_some_and(BuildState::is_final)
            } else if ended == Some(BuildState::Succeeded) {
                // They were there, and were deleted after that, and nobody can make them any more (seed 26461).
                outputs.all(|output| made(output) || pruned(output))
            } else {
                matches!(
                    ended,
                    Some(BuildState::Failed | BuildState::FailedDependency)
                )
            };
            if !right {
                let name = &derivation.item.name;
                return Err(self.violated("live", format!("{name} ended as {ended:?}")));
            }
        }
        Ok(())
    }

    /// Outputs that can be had, and derivations that can be built: whose builder does not fail, and whose
    /// inputs can be had.
    fn buildable(&self) -> (BTreeSet<Digest>, BTreeSet<Digest>) {
        let graph = &self.scenario.graph;
        let outputs = graph.iter().flat_map(|it| &it.outputs);
        let outputs = outputs.map(|output| output.item.digest);
        let mut have: BTreeSet<_> = outputs
            .filter(|output| self.store.has_item(*output))
            .collect();
        let mut can = BTreeSet::new();
        loop {
            let before = can.len();
            for derivation in graph {
                let digest = derivation.item.digest;
                let mut inputs = derivation.inputs.iter();
                let fed = inputs.all(|input| have.contains(&input.output));
                if fed && !self.scenario.failing.contains(&digest) {
                    can.insert(digest);
                    have.extend(derivation.outputs.iter().map(|output| output.item.digest));
                }
            }
            if can.len() == before {
                return (have, can);
            }
        }
    }
}
