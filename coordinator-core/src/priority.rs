//! Derived priorities.
//!
//! A derivation's priority is the highest of its own builds' and of the derivations that need it.
//! A derivation keeps how many of its builds there are at each level, and an output the same of the
//! derivations that need it, so that lowering one does not look at the others, and a derivation that
//! joins the producers of an output does not look at its users.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::few::Few;
use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::{Derivation, Output};
use crate::work::Work;

/// So many different priorities lie in a list at most, through which each that comes or goes is looked for: more lie in a tree.
const LISTED: usize = 64;

/// Priorities and how many there are of each.
#[derive(Clone, Debug)]
pub(crate) enum Levels {
    /// The highest first. Nearly always there are one or two.
    Listed(Few<(i32, u32)>),
    /// As many as there are users of an input that all need, if each has a priority of its own.
    #[expect(
        clippy::box_collection,
        reason = "there are two in each of a million rows, and hardly one is a tree"
    )]
    Tree(Box<BTreeMap<Reverse<i32>, u32>>),
}

impl Levels {
    pub(crate) fn add(&mut self, priority: i32) {
        match self {
            Self::Listed(list) => match find(list, priority) {
                Ok(at) => list[at].1 += 1,
                Err(_) if list.len() == LISTED => {
                    let tree = list.iter().map(|(level, count)| (Reverse(*level), *count));
                    *self = Self::Tree(Box::new(tree.chain([(Reverse(priority), 1)]).collect()));
                }
                Err(at) => list.insert(at, (priority, 1)),
            },
            Self::Tree(tree) => *tree.entry(Reverse(priority)).or_insert(0) += 1,
        }
    }

    pub(crate) fn remove(&mut self, priority: i32) {
        match self {
            Self::Listed(list) => {
                let Ok(at) = find(list, priority) else {
                    return;
                };
                list[at].1 -= 1;
                if list[at].1 == 0 {
                    list.remove(at);
                }
            }
            Self::Tree(tree) => {
                let Some(count) = tree.get_mut(&Reverse(priority)) else {
                    return;
                };
                *count -= 1;
                if *count == 0 {
                    tree.remove(&Reverse(priority));
                    // Half of what fits, so that one that comes and goes does not move all of them.
                    if tree.len() <= LISTED / 2 {
                        let mut list = Few::default();
                        for (Reverse(level), count) in &**tree {
                            list.push((*level, *count));
                        }
                        *self = Self::Listed(list);
                    }
                }
            }
        }
    }

    /// The highest; the lowest number there is, if there is none.
    pub(crate) fn highest(&self) -> i32 {
        let highest = match self {
            Self::Listed(list) => list.first().map(|(level, _)| *level),
            Self::Tree(tree) => tree.keys().next().map(|Reverse(level)| *level),
        };
        highest.unwrap_or(i32::MIN)
    }

    pub(crate) fn count(&self) -> u64 {
        self.iter().map(|(_, count)| u64::from(count)).sum()
    }

    /// The highest first.
    fn iter(&self) -> impl Iterator<Item = (i32, u32)> + '_ {
        let (list, tree) = match self {
            Self::Listed(list) => (Some(list.iter().copied()), None),
            Self::Tree(tree) => (None, Some(tree.iter())),
        };
        let tree = tree.into_iter().flatten();
        let tree = tree.map(|(Reverse(level), count)| (*level, *count));
        list.into_iter().flatten().chain(tree)
    }
}

/// Where a priority is in a list, or where it belongs.
fn find(list: &[(i32, u32)], priority: i32) -> Result<usize, usize> {
    list.binary_search_by(|(level, _)| priority.cmp(level))
}

impl Default for Levels {
    fn default() -> Self {
        Self::Listed(Few::default())
    }
}

impl PartialEq for Levels {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Levels {}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_levels_are_what_few_are() {
        // A walk through all of a range, up and down, so that it becomes a tree and a list again.
        let (mut levels, mut all) = (Levels::default(), Vec::new());
        for step in 0..4 * LISTED {
            let priority = i32::try_from(step * 7 % (2 * LISTED)).expect("it is small");
            levels.add(priority);
            all.push(priority);
            same(&levels, &mut all);
        }
        assert!(matches!(levels, Levels::Tree(_)));
        while !all.is_empty() {
            let priority = all.swap_remove(all.len() / 2);
            levels.remove(priority);
            levels.remove(-1);
            same(&levels, &mut all);
        }
        assert!(matches!(levels, Levels::Listed(Few::None)));
    }

    fn same(levels: &Levels, all: &mut [i32]) {
        let mut plain = Levels::default();
        all.sort_unstable();
        for priority in all.iter() {
            plain.add(*priority);
        }
        assert_eq!(*levels, plain);
        assert_eq!(levels.highest(), all.last().copied().unwrap_or(i32::MIN));
        assert_eq!(levels.count(), all.len() as u64);
        let mut sorted: Vec<i32> = levels.iter().map(|(level, _)| level).collect();
        sorted.reverse();
        let mut distinct = all.to_vec();
        distinct.dedup();
        assert_eq!(sorted, distinct);
    }

    #[test]
    fn they_are_small() {
        assert_eq!(size_of::<Levels>(), 16);
    }
}
