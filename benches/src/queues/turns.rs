//! Agents that take turns.

use std::time::{Duration, Instant};

use crate::queues::builds::AGENTS;

/// A way of keeping the queue. It says how long its own part took.
pub trait Way {
    /// What an agent holds is built; what waited for it alone is ready from now on.
    ///
    /// # Errors
    ///
    /// What keeps the queue fails.
    fn finish(&mut self, agent: usize, build: u32) -> anyhow::Result<Duration>;

    /// An agent asks for work: which build it gets, if there is one for its system. It is marked as taken.
    ///
    /// # Errors
    ///
    /// What keeps the queue fails.
    fn ask(&mut self, agent: usize) -> anyhow::Result<(Option<u32>, Duration)>;
}

/// Whose turn it is, and what each agent holds. An agent whose turn it is finishes what it holds, and asks for more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    taken: usize,
    held: Vec<Option<u32>>,
}

/// What some turns took.
#[derive(Clone, Debug, Default)]
pub struct Sampled {
    /// How long each agent waited for its answer.
    pub asked: Vec<Duration>,
    /// How long it took to take notice of each build that was finished.
    pub finished: Vec<Duration>,
    /// Both of each turn.
    pub both: Vec<Duration>,
    /// What was given.
    pub given: Vec<Option<u32>>,
}

impl Turns {
    /// Nobody has anything yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            taken: 0,
            held: vec![None; AGENTS],
        }
    }

    /// Takes so many, or fewer if those that were taken took more than `bound`.
    ///
    /// # Errors
    ///
    /// The way fails.
    pub fn take(
        &mut self,
        way: &mut dyn Way,
        count: usize,
        bound: Duration,
    ) -> anyhow::Result<Sampled> {
        let mut sampled = Sampled::default();
        let begun = Instant::now();
        while sampled.given.len() < count && begun.elapsed() < bound {
            let agent = self.taken % AGENTS;
            let mut both = Duration::ZERO;
            if let Some(build) = self.held[agent].take() {
                let took = way.finish(agent, build)?;
                sampled.finished.push(took);
                both += took;
            }
            let (given, took) = way.ask(agent)?;
            self.held[agent] = given;
            self.taken += 1;
            sampled.asked.push(took);
            sampled.both.push(both + took);
            sampled.given.push(given);
        }
        Ok(sampled)
    }

    /// How many were taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self::new()
    }
}

impl Sampled {
    /// In how many turns the same was given as in `other`.
    #[must_use]
    pub fn same(&self, other: &Self) -> usize {
        let both = self.given.iter().zip(&other.given);
        both.filter(|(ours, theirs)| ours == theirs).count()
    }

    /// Turns in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let sum: Duration = self.both.iter().sum();
        self.both.len() as f64 / sum.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives ever higher numbers, and none to the last agent.
    struct Counter {
        next: u32,
        finished: Vec<(usize, u32)>,
    }

    impl Way for Counter {
        fn finish(&mut self, agent: usize, build: u32) -> anyhow::Result<Duration> {
            self.finished.push((agent, build));
            Ok(Duration::from_millis(1))
        }

        fn ask(&mut self, agent: usize) -> anyhow::Result<(Option<u32>, Duration)> {
            self.next += 1;
            let given = (agent + 1 < AGENTS).then_some(self.next);
            Ok((given, Duration::from_millis(2)))
        }
    }

    #[test]
    fn who_holds_something_finishes_it_first() {
        let mut way = Counter {
            next: 0,
            finished: Vec::new(),
        };
        let mut turns = Turns::new();
        let first = turns.take(&mut way, AGENTS, Duration::MAX).unwrap();
        assert!(first.finished.is_empty() && way.finished.is_empty());
        assert_eq!(first.given[AGENTS - 2..], [Some(99), None]);
        let second = turns.take(&mut way, AGENTS, Duration::MAX).unwrap();
        assert_eq!(way.finished.len(), AGENTS - 1);
        assert_eq!(way.finished[..2], [(0, 1), (1, 2)]);
        assert_eq!(second.both[0], Duration::from_millis(3));
        assert_eq!(second.same(&first), 1);
        assert_eq!(turns.taken(), 2 * AGENTS);
        assert!((first.per_second() - 500.0).abs() < 1e-6);
    }

    #[test]
    fn no_turn_is_taken_when_time_is_up() {
        let mut way = Counter {
            next: 0,
            finished: Vec::new(),
        };
        let none = Turns::new().take(&mut way, 10, Duration::ZERO).unwrap();
        assert!(none.given.is_empty());
    }
}
