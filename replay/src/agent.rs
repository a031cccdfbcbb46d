//! An agent that builds nothing, and takes its time for it.

use std::collections::{BTreeMap, VecDeque};

use grange_coordinator_core::{AttemptPhase, Capacity, Exchange};
use grange_model::{AgentId, AttemptId, SessionId, Tags};
use uuid::Uuid;

use crate::fleet::Machine;

/// An agent, and what it holds.
#[derive(Debug)]
pub(crate) struct Agent {
    id: AgentId,
    machine: Machine,
    revision: u64,
    holds: BTreeMap<AttemptId, Held>,
    /// What waits for a slot.
    queue: VecDeque<AttemptId>,
    /// Slots that nothing runs in, the next to be taken last.
    free: Vec<u32>,
}

/// An attempt that an agent holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) job: u32,
    /// Milliseconds from the start of the farm, like all times here.
    pub(crate) ready_ms: u64,
    pub(crate) start_ms: u64,
    pub(crate) slot: u32,
    runs: bool,
}

impl Agent {
    pub(crate) fn new(number: u32, machine: &Machine) -> Self {
        Self {
            id: AgentId(Uuid::from_u128(u128::from(number) + 1)),
            machine: machine.clone(),
            revision: 0,
            holds: BTreeMap::new(),
            queue: VecDeque::new(),
            free: (0..machine.slots).rev().collect(),
        }
    }

    /// Takes an attempt, and starts it when there is room.
    pub(crate) fn take(&mut self, attempt: AttemptId, job: u32, ready_ms: u64) {
        let held = Held {
            job,
            ready_ms,
            start_ms: 0,
            slot: 0,
            runs: false,
        };
        if self.holds.insert(attempt, held).is_none() {
            self.queue.push_back(attempt);
        }
    }

    /// Starts the next, if there is one and a slot for it.
    pub(crate) fn start(&mut self, now_ms: u64) -> Option<(AttemptId, u32)> {
        let slot = *self.free.last()?;
        loop {
            let attempt = self.queue.pop_front()?;
            if let Some(held) = self.holds.get_mut(&attempt) {
                self.free.pop();
                held.start_ms = now_ms;
                held.slot = slot;
                held.runs = true;
                return Some((attempt, held.job));
            }
        }
    }

    /// An attempt has run to its end.
    pub(crate) fn end(&mut self, attempt: AttemptId) -> Option<Held> {
        let held = self.holds.remove(&attempt)?;
        self.free.push(held.slot);
        Some(held)
    }

    /// Forgets an attempt; returns since when it ran, if it did.
    pub(crate) fn forget(&mut self, attempt: AttemptId) -> Option<u64> {
        let held = self.holds.remove(&attempt)?;
        held.runs.then(|| {
            self.free.push(held.slot);
            held.start_ms
        })
    }

    /// All that it holds, and that it waits for more.
    pub(crate) fn exchange(&mut self, wait_ms: u64) -> Exchange {
        self.revision += 1;
        let phase = |held: &Held| {
            if held.runs {
                AttemptPhase::Building
            } else {
                AttemptPhase::Preparing
            }
        };
        Exchange {
            agent: self.id,
            session: SessionId(Uuid::from_u128(1)),
            revision: self.revision,
            capacity: Capacity {
                systems: self.machine.systems.clone(),
                tags: Tags::new(),
                exclusive: Vec::new(),
                parallel: self.machine.slots,
                ahead: self.machine.ahead,
                resources: grange_model::Resources::new(),
                admission: grange_coordinator_core::Admission::default(),
                // From a thousandth to a million: see `Speeds`.
                speed: (self.machine.speed * 1e3) as u32,
            },
            health: grange_coordinator_core::Health::default(),
            attempts: self
                .holds
                .iter()
                .map(|(attempt, held)| (*attempt, phase(held)))
                .collect(),
            wait_ms,
        }
    }

    pub(crate) fn id(&self) -> AgentId {
        self.id
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Milliseconds that something takes here which takes so many at speed 1: at least 1.
    pub(crate) fn takes(&self, duration_ms: u64) -> u64 {
        // A cast from a number to an integer keeps to what the integer can be.
        ((duration_ms as f64 / self.machine.speed).ceil() as u64).max(1)
    }
}

/// The agent on a machine, by its number in the fleet.
pub(crate) fn machine_of(agent: AgentId) -> usize {
    usize::try_from(agent.0.as_u128())
        .unwrap_or(usize::MAX)
        .saturating_sub(1)
}
