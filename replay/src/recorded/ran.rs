//! Which attempt of each derivation counts, and when it began.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use grange_model::AgentId;

use super::collect::{Collected, Tried};

/// What ran where and when.
#[derive(Debug)]
pub(super) struct Ran {
    /// All agents that build anything; the number of one is its place here.
    pub(super) agents: Vec<AgentId>,
    /// Of each derivation the last attempt that succeeded, or else that failed.
    pub(super) last: Vec<Option<Attempt>>,
    /// Milliseconds of all others.
    pub(super) wasted_ms: u64,
}

/// An attempt in which the builder ran to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) machine: usize,
    pub(super) slot: u32,
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    succeeded: bool,
}

impl Ran {
    pub(super) fn new(collected: &Collected) -> Self {
        let known = collected.agents.values();
        let known = known.filter(|it| !it.systems.is_empty()).map(|it| it.id);
        let tried = collected.attempts.values().map(|tried| tried.agent);
        let agents: BTreeSet<AgentId> = known.chain(tried).collect();
        let mut by_agent: BTreeMap<AgentId, Vec<Tried>> = BTreeMap::new();
        for tried in collected.attempts.values() {
            by_agent.entry(tried.agent).or_default().push(*tried);
        }
        let mut ran = Self {
            agents: agents.into_iter().collect(),
            last: vec![None; collected.derivations.len()],
            wasted_ms: 0,
        };
        for (agent, mut tried) in by_agent {
            // As an agent begins what it was given.
            tried.sort_by_key(|it| (it.assigned_ms, it.ended_ms));
            let parallel = collected.agents.get(&agent).map_or(1, |it| it.parallel);
            let machine = ran.agents.binary_search(&agent).unwrap_or_default();
            let mut slots = Slots::new(parallel);
            for tried in tried {
                let (slot, start_ms) = slots.take(tried.assigned_ms, tried.ended_ms);
                let attempt = Attempt {
                    machine,
                    slot,
                    start_ms,
                    end_ms: tried.ended_ms,
                    succeeded: tried.succeeded,
                };
                ran.count(tried.derivation, attempt);
            }
        }
        ran
    }

    fn count(&mut self, derivation: u32, attempt: Attempt) {
        let last = &mut self.last[derivation as usize];
        let rank = |it: Attempt| (it.succeeded, it.end_ms);
        let better = last.is_none_or(|last| rank(attempt) > rank(last));
        let other = if better {
            last.replace(attempt)
        } else {
            Some(attempt)
        };
        let wasted = other.map_or(0, |it| it.end_ms - it.start_ms);
        self.wasted_ms = self.wasted_ms.saturating_add(wasted);
    }
}

/// The slots of an agent, and when each is free.
struct Slots {
    parallel: u32,
    used: u32,
    free: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Slots {
    fn new(parallel: u32) -> Self {
        Self {
            parallel: parallel.max(1),
            used: 0,
            free: BinaryHeap::new(),
        }
    }

    /// What is assigned beforehand begins when there is room.
    fn take(&mut self, assigned_ms: u64, ended_ms: u64) -> (u32, u64) {
        let first = self.free.peek().map(|Reverse(first)| *first);
        let (free_ms, slot) = match first {
            Some(first) if first.0 <= assigned_ms || self.used == self.parallel => {
                self.free.pop();
                first
            }
            _ => {
                self.used += 1;
                (assigned_ms, self.used - 1)
            }
        };
        self.free.push(Reverse((ended_ms.max(free_ms), slot)));
        (slot, free_ms.clamp(assigned_ms, ended_ms))
    }
}
