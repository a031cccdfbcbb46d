//! Derived priorities.
//!
//! A derivation's priority is the highest of its own builds' and of the derivations that need it.
//! A derivation keeps how many of its builds there are at each level, and an output the same of the
//! derivations that need it, so that lowering one does not look at the others, and a derivation that
//! joins the producers of an output does not look at its users.

use crate::few::Few;
use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::{Derivation, Output};
use crate::work::Work;

/// Priorities and how many there are of each, the highest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levels(Few<(i32, u32)>);

impl Levels {
    pub(crate) fn add(&mut self, priority: i32) {
        match self.0.binary_search_by(|(level, _)| priority.cmp(level)) {
            Ok(at) => self.0[at].1 += 1,
            Err(at) => self.0.insert(at, (priority, 1)),
        }
    }

    pub(crate) fn remove(&mut self, priority: i32) {
        let Ok(at) = self.0.binary_search_by(|(level, _)| priority.cmp(level)) else {
            return;
        };
        self.0[at].1 -= 1;
        if self.0[at].1 == 0 {
            self.0.remove(at);
        }
    }

    /// The highest; the lowest number there is, if there is none.
    pub(crate) fn highest(&self) -> i32 {
        self.0.first().map_or(i32::MIN, |(level, _)| *level)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| u64::from(*count)).sum()
    }
}

impl Core {
    /// The highest priority of a derivation's own builds and of the derivations that need it, as far
    /// as they have announced theirs. Who needs what is available needs nobody.
    ///
    /// Counter-example: `mirror` makes the fixed output `tar`, which is available, and needs `tool`, which
    /// needs `tar`. If `tar` handed priorities on, each of the two would have its own from the other, and
    /// both would keep it when the build is gone that they had it from.
    pub(crate) fn derived(&self, ix: Ix<Derivation>) -> i32 {
        let lacking = self.brings(ix).filter(|node| !node.presence.is_available());
        let needed = lacking.map(|node| node.priorities.highest());
        needed.fold(self.derivations[ix].own.highest(), i32::max)
    }

    /// Tells queues and, later, inputs of a derivation's new priority.
    pub(crate) fn priority_changed(&mut self, ix: Ix<Derivation>) {
        let derived = self.derived(ix);
        let derivation = &mut self.derivations[ix];
        if derived != derivation.announced && !derivation.announcing {
            derivation.announcing = true;
            let generation = self.derivations.generation(ix);
            self.work.push_back(Work::Priority {
                derivation: ix,
                generation,
            });
        }
        for task in self.derivations[ix].tasks.clone() {
            self.requeue(task);
        }
    }

    /// Tells the inputs.
    pub(crate) fn announce_priority(&mut self, ix: Ix<Derivation>) {
        let new = self.derived(ix);
        let derivation = &mut self.derivations[ix];
        derivation.announcing = false;
        let old = derivation.announced;
        if old == new {
            return;
        }
        self.move_in_line(ix, |derivation| derivation.announced = new);
        for at in 0..self.derivations[ix].inputs.len() {
            let input = self.derivations[ix].inputs[at];
            self.change_levels(input, Some(old), Some(new));
        }
        self.edges += self.derivations[ix].inputs.len();
    }

    /// The announced priorities of the derivations that need an output.
    pub(crate) fn levels_of_users(&self, output: Ix<Output>) -> Levels {
        let mut levels = Levels::default();
        for user in self.outputs[output].users.current(&self.derivations) {
            levels.add(self.derivations[user].announced);
        }
        levels
    }

    /// One of those that need an output has another priority, comes, or goes.
    pub(crate) fn change_levels(&mut self, output: Ix<Output>, old: Option<i32>, new: Option<i32>) {
        if self.outputs.hot(output).available {
            // Who needs what is available needs nobody.
            return;
        }
        let levels = &mut self.outputs[output].priorities;
        let before = levels.highest();
        #[cfg(grange_bugs)]
        let old = old.filter(|_| self.config.bug != Some(crate::Bug::StickyPriority));
        if let Some(old) = old {
            levels.remove(old);
        }
        if let Some(new) = new {
            levels.add(new);
        }
        if levels.highest() != before {
            for producer in self.outputs[output].producers.clone() {
                self.priority_changed(producer);
            }
        }
    }
}
