//! Making a failing scenario small.

use std::collections::BTreeSet;

use crate::outcome::run;
use crate::scenario::{Cuts, Scenario};

/// What is left of a scenario that fails.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What can be left out without its failing otherwise.
    pub cuts: Cuts,
    /// How many scenarios were tried.
    pub tries: usize,
}

/// Leaves out as much as it can so that the same invariant still does not hold: halves first, then
/// smaller parts, down to single ones (Zeller's delta debugging). At most `tries` scenarios are
/// run.
#[must_use]
pub fn shrink(scenario: &Scenario, invariant: &str, tries: usize) -> Shrunk {
    let mut shrinking = Shrinking {
        scenario,
        invariant,
        left: tries,
        cuts: Cuts::default(),
    };
    shrinking.try_cuts(|cuts| cuts.weather = true);
    shrinking.try_cuts(|cuts| cuts.store = true);
    let (actions, faults) = (scenario.actions.len(), scenario.faults.len());
    shrinking.cut_set(faults, |cuts| &mut cuts.faults);
    shrinking.cut_set(actions, |cuts| &mut cuts.actions);
    shrinking.cut_set(scenario.agents.len(), |cuts| &mut cuts.agents);
    shrinking.cut_set(faults, |cuts| &mut cuts.faults);
    Shrunk {
        cuts: shrinking.cuts,
        tries: tries - shrinking.left,
    }
}

struct Shrinking<'a> {
    scenario: &'a Scenario,
    invariant: &'a str,
    left: usize,
    cuts: Cuts,
}

impl Shrinking<'_> {
    /// Keeps the cut if the scenario still fails in the same way.
    fn try_cuts(&mut self, cut: impl FnOnce(&mut Cuts)) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let mut cuts = self.cuts.clone();
        cut(&mut cuts);
        if cuts.agents.len() == self.scenario.agents.len() {
            return false;
        }
        let outcome = run(&self.scenario.without(&cuts), false);
        let same = outcome
            .violation
            .is_some_and(|violation| violation.invariant == self.invariant);
        if same {
            self.cuts = cuts;
        }
        same
    }

    fn cut_set(&mut self, length: usize, set: fn(&mut Cuts) -> &mut BTreeSet<usize>) {
        let mut size = length;
        while size > 0 && self.left > 0 {
            let left: Vec<_> = {
                let cut = set(&mut self.cuts);
                (0..length).filter(|at| !cut.contains(at)).collect()
            };
            for part in left.chunks(size) {
                self.try_cuts(|cuts| set(cuts).extend(part));
            }
            size /= 2;
        }
    }
}
