//! The plainest queue there is: what all others must agree with.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::queues::builds::{Builds, SYSTEMS};
use crate::queues::turns::Way;

/// Where a build stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Something that it needs is not finished.
    Blocked,
    /// An agent may have it.
    Ready,
    /// An agent has it.
    Running,
    /// It is built.
    Finished,
}

/// Counters of what is missing, and a sorted set of what is ready for each system. It knows no attempt, no output and no
/// request, checks nothing, and keeps nothing.
#[derive(Clone, Debug)]
pub struct Plain<'a> {
    builds: &'a Builds,
    states: Vec<State>,
    missing: Vec<u32>,
    ready: [BTreeSet<(Reverse<i32>, u32)>; SYSTEMS.len()],
}

impl<'a> Plain<'a> {
    /// All have just been submitted.
    #[must_use]
    pub fn new(builds: &'a Builds) -> Self {
        let mut plain = Self {
            builds,
            states: vec![State::Blocked; builds.len()],
            missing: builds.all().map(|build| builds.needs(build)).collect(),
            ready: Default::default(),
        };
        for build in builds.all().filter(|build| builds.needs(*build) == 0) {
            plain.free(build);
        }
        plain
    }

    /// Where each build stands.
    #[must_use]
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// How many of those that each build needs are not finished.
    #[must_use]
    pub fn missing(&self) -> &[u32] {
        &self.missing
    }

    /// How many builds stand so.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.states.iter().filter(|it| **it == state).count()
    }

    fn free(&mut self, build: u32) {
        self.states[build as usize] = State::Ready;
        let key = (Reverse(self.builds.priority(build)), build);
        self.ready[self.builds.system(build)].insert(key);
    }
}

impl Way for Plain<'_> {
    fn finish(&mut self, _: usize, build: u32) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.states[build as usize] = State::Finished;
        for user in self.builds.users(build) {
            self.missing[*user as usize] -= 1;
            if self.missing[*user as usize] == 0 {
                self.free(*user);
            }
        }
        Ok(begun.elapsed())
    }

    fn ask(&mut self, agent: usize) -> anyhow::Result<(Option<u32>, Duration)> {
        let begun = Instant::now();
        let first = self.ready[agent % SYSTEMS.len()].pop_first();
        let given = first.map(|(_, build)| build);
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
    fn all_are_built_what_others_need_before_them() {
        let builds = Builds::new(1_000);
        let mut plain = Plain::new(&builds);
        let mut turns = Turns::new();
        let mut place = vec![None; builds.len()];
        while plain.count(State::Finished) < builds.len() {
            let from = turns.taken();
            let sampled = turns.take(&mut plain, 100, Duration::MAX).unwrap();
            for (turn, build) in (from..).zip(sampled.given) {
                if let Some(build) = build {
                    place[build as usize] = Some(turn);
                }
            }
        }
        for build in builds.all() {
            let at = |build: u32| place[build as usize].unwrap();
            assert!(builds.users(build).iter().all(|user| at(*user) > at(build)));
        }
    }

    #[test]
    fn the_highest_priority_goes_first_then_the_oldest() {
        let builds = Builds::new(1_000);
        let mut plain = Plain::new(&builds);
        let (first, _) = plain.ask(0).unwrap();
        let (second, _) = plain.ask(0).unwrap();
        assert_eq!(first, Some(builds.at(4, 0)));
        assert_eq!(second, Some(builds.at(4, 4)));
    }
}
