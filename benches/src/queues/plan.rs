//! The incumbent's way: a plan for all agents, recomputed as a whole.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use crate::queues::builds::{AGENTS, Builds, SYSTEMS};
use crate::queues::plain::{Plain, State};
use crate::queues::turns::Way;

/// A plan in memory, as plainly and as fast as can be: theirs is made in a database.
///
/// To recompute it, derived priorities of all unfinished builds are computed, all that are ready are found and sorted, and
/// each agent is given its order of those for its system. Between two plans, agents take from their orders what nobody has
/// taken; what has become ready meanwhile is in no order yet.
#[derive(Debug)]
pub struct Plan<'a> {
    builds: &'a Builds,
    states: Vec<State>,
    missing: Vec<u32>,
    /// How many are given from one plan.
    every: usize,
    given: usize,
    derived: Vec<i32>,
    orders: Vec<Vec<u32>>,
    /// How far each agent is in its order.
    next: Vec<usize>,
    planned: Vec<Duration>,
}

impl<'a> Plan<'a> {
    /// Goes on from a state; a plan serves `every` requests.
    #[must_use]
    pub fn new(builds: &'a Builds, from: &Plain<'_>, every: usize) -> Self {
        Self {
            builds,
            states: from.states().to_vec(),
            missing: from.missing().to_vec(),
            every,
            given: 0,
            derived: vec![0; builds.len()],
            orders: vec![Vec::new(); AGENTS],
            next: vec![0; AGENTS],
            planned: Vec::new(),
        }
    }

    /// What each plan took.
    #[must_use]
    pub fn planned(&self) -> &[Duration] {
        &self.planned
    }

    fn recompute(&mut self) {
        let mut ready: [Vec<u32>; SYSTEMS.len()] = Default::default();
        // What a build needs has a lower number, so users come first.
        for build in self.builds.all().rev() {
            let at = build as usize;
            if self.states[at] == State::Finished {
                continue;
            }
            let users = self.builds.users(build).iter();
            let highest = users.map(|user| self.derived[*user as usize]).max();
            self.derived[at] = self.builds.priority(build).max(highest.unwrap_or(i32::MIN));
            if self.states[at] != State::Running && self.missing[at] == 0 {
                ready[self.builds.system(build)].push(build);
            }
        }
        for ready in &mut ready {
            ready.sort_unstable_by_key(|build| (Reverse(self.derived[*build as usize]), *build));
        }
        for (agent, order) in self.orders.iter_mut().enumerate() {
            order.clone_from(&ready[agent % SYSTEMS.len()]);
        }
        self.next.fill(0);
    }
}

impl Way for Plan<'_> {
    fn finish(&mut self, _: usize, build: u32) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.states[build as usize] = State::Finished;
        for user in self.builds.users(build) {
            self.missing[*user as usize] -= 1;
        }
        Ok(begun.elapsed())
    }

    fn ask(&mut self, agent: usize) -> anyhow::Result<(Option<u32>, Duration)> {
        let begun = Instant::now();
        if self.given.is_multiple_of(self.every) {
            self.recompute();
            self.planned.push(begun.elapsed());
        }
        self.given += 1;
        let order = &self.orders[agent];
        let free = |build: &u32| {
            self.states[*build as usize] == State::Blocked
                || self.states[*build as usize] == State::Ready
        };
        let passed = order[self.next[agent]..].iter().position(free);
        let given = passed.map(|passed| {
            self.next[agent] += passed;
            order[self.next[agent]]
        });
        if let Some(build) = given {
            self.states[build as usize] = State::Running;
        }
        Ok((given, begun.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queues::turns::Turns;

    #[test]
    fn with_a_plan_for_each_decision_they_are_those_of_a_queue() {
        let builds = Builds::new(2_000);
        let mut plain = Plain::new(&builds);
        let mut plan = Plan::new(&builds, &plain, 1);
        let expected = Turns::new().take(&mut plain, 1_500, Duration::MAX).unwrap();
        let sampled = Turns::new().take(&mut plan, 1_500, Duration::MAX).unwrap();
        assert_eq!(sampled.given, expected.given);
        assert_eq!(plan.planned().len(), 1_500);
    }

    #[test]
    fn an_old_plan_gives_nothing_twice() {
        let builds = Builds::new(2_000);
        let plain = Plain::new(&builds);
        let mut plan = Plan::new(&builds, &plain, AGENTS);
        let sampled = Turns::new().take(&mut plan, 1_500, Duration::MAX).unwrap();
        let mut given: Vec<u32> = sampled.given.into_iter().flatten().collect();
        let count = given.len();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), count);
        assert_eq!(plan.planned().len(), 15);
    }
}
