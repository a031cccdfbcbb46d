//! An agent as it may behave.

use std::collections::BTreeMap;

use grange_coordinator_core::{
    Assignment, AttemptPhase, Capacity, Exchange, ExchangeReply, Ticket,
};
use grange_model::{AgentId, AttemptId};

use crate::world::names::{agent_id, session_id, tags};

use super::chance::Chance;

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) session: u128,
    pub(crate) revision: u64,
    pub(crate) capacity: Capacity,
    pub(crate) held: BTreeMap<AttemptId, Held>,
    pub(crate) waits: Option<Ticket>,
    pub(crate) last: Option<Exchange>,
    /// It says nothing.
    pub(crate) asleep: bool,
}

#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) assignment: Assignment,
    pub(crate) phase: AttemptPhase,
    /// The report that waits for an answer.
    pub(crate) report: Option<Ticket>,
}

impl Agent {
    pub(crate) fn new(number: u128, chance: &mut Chance) -> Self {
        let mut capacity = Capacity {
            systems: vec!["x86_64-linux".to_owned(), "builtin".to_owned()],
            parallel: 1 + u32::try_from(chance.below(3)).unwrap(),
            ahead: u32::try_from(chance.below(2)).unwrap(),
            ..Capacity::default()
        };
        if chance.one_in(2) {
            capacity.systems.push("i686-linux".to_owned());
        }
        match chance.below(4) {
            0 => capacity.tags = tags(&[("feature:kvm", "yes")]),
            1 => {
                capacity.tags = tags(&[("year", "2019")]);
                capacity.exclusive = vec!["year".to_owned()];
            }
            2 => capacity.tags = tags(&[("big", "yes"), ("feature:kvm", "yes")]),
            _ => {}
        }
        Self {
            id: agent_id(number),
            session: 1,
            revision: 0,
            capacity,
            held: BTreeMap::new(),
            waits: None,
            last: None,
            asleep: false,
        }
    }

    /// It takes everything from now on.
    pub(crate) fn heal(&mut self) {
        let systems = ["x86_64-linux", "builtin", "i686-linux"];
        self.capacity.systems = systems.map(str::to_owned).to_vec();
        self.capacity.tags = tags(&[("feature:kvm", "yes"), ("year", "2019"), ("big", "yes")]);
        self.capacity.exclusive.clear();
        self.capacity.parallel = 4;
        self.asleep = false;
    }

    pub(crate) fn exchange(&mut self, wait_ms: u64) -> Exchange {
        self.revision += 1;
        let exchange = Exchange {
            agent: self.id,
            session: session_id(self.session),
            revision: self.revision,
            capacity: self.capacity.clone(),
            health: grange_coordinator_core::Health::default(),
            attempts: self
                .held
                .iter()
                .map(|(id, held)| (*id, held.phase))
                .collect(),
            wait_ms,
        };
        self.last = Some(exchange.clone());
        exchange
    }

    pub(crate) fn obey(&mut self, reply: ExchangeReply) {
        for id in reply.drop {
            self.held.remove(&id);
        }
        for assignment in reply.assign {
            self.held.entry(assignment.attempt).or_insert(Held {
                assignment,
                phase: AttemptPhase::Preparing,
                report: None,
            });
        }
    }

    /// Another process in its place; it may have kept what it held.
    pub(crate) fn restart(&mut self, remembers: bool) {
        self.session += 1;
        self.revision = 0;
        self.waits = None;
        self.last = None;
        if !remembers {
            self.held.clear();
        }
        for held in self.held.values_mut() {
            held.report = None;
        }
    }
}
