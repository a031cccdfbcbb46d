//! Agents, and what they hold.

use std::collections::BTreeSet;
use std::time::Duration;

use grange_coordinator_core::{AgentChange, AttemptPhase, Capacity, DeniedWhy, Exchange, Ticket};
use grange_model::{AgentId, AttemptId, Timestamp};

use super::state::{Agent, Answer, Model, Wait};
use crate::reference::mismatch::Mismatch;

impl Model {
    pub(super) fn exchange(&mut self, ticket: Ticket, exchange: &Exchange) {
        let id = exchange.agent;
        if let Err(why) = self.is_newest(exchange) {
            return self.answer(ticket, Answer::Denied(why));
        }
        let before = self.agents.get_mut(&id).and_then(|agent| {
            let before = agent.wait.take()?;
            Some((before.ticket, agent.session == Some(exchange.session)))
        });
        if let Some((before, same)) = before {
            let nothing = Answer::Exchange {
                assign: BTreeSet::new(),
                drop: BTreeSet::new(),
            };
            let denied = Answer::Denied(DeniedWhy::Conflict);
            self.answer(before, if same { nothing } else { denied });
        }
        let mut drop = BTreeSet::new();
        let mut held = BTreeSet::new();
        for (attempt, phase) in &exchange.attempts {
            match self.attempts.get_mut(attempt) {
                Some(row) if row.agent == id => {
                    row.expired = false;
                    row.uploading = *phase == AttemptPhase::Uploading;
                    held.insert(*attempt);
                }
                _ => {
                    drop.insert(*attempt);
                }
            }
        }
        let mut assign = BTreeSet::new();
        for (attempt, row) in &mut self.attempts {
            if row.agent == id && !held.contains(attempt) {
                row.expired = false;
                row.uploading = false;
                assign.insert(*attempt);
            }
        }
        let wait = Duration::from_millis(exchange.wait_ms).min(self.config.max_wait);
        let until = self.now.after(wait.min(self.config.lease / 2));
        let lease_until = self.now.after(self.config.lease);
        let Some(agent) = self.agents.get_mut(&id) else {
            return;
        };
        agent.session = Some(exchange.session);
        agent.revision = exchange.revision;
        agent.capacity = exchange.capacity.clone();
        agent.lease_until = Some(lease_until);
        agent.wait = Some(Wait {
            ticket,
            until,
            answer: !assign.is_empty() || !drop.is_empty(),
            assign,
            drop,
        });
    }

    fn is_newest(&self, exchange: &Exchange) -> Result<(), DeniedWhy> {
        let agent = self
            .agents
            .get(&exchange.agent)
            .ok_or(DeniedWhy::NotFound)?;
        let Some(session) = agent.session else {
            return Ok(());
        };
        let late = session == exchange.session && exchange.revision < agent.revision;
        if session > exchange.session || late {
            return Err(DeniedWhy::Conflict);
        }
        Ok(())
    }

    pub(super) fn change_agent(&mut self, id: AgentId, change: &AgentChange) {
        if let AgentChange::New(record) = change {
            self.agents.entry(id).or_insert_with(|| Agent {
                record: record.clone(),
                capacity: Capacity::default(),
                session: None,
                revision: 0,
                lease_until: None,
                wait: None,
            });
            return;
        }
        let Some(agent) = self.agents.get_mut(&id) else {
            return;
        };
        match change {
            AgentChange::Pause(paused) => agent.record.paused = *paused,
            AgentChange::Tags(tags) => agent.record.tags = tags.clone(),
            AgentChange::Delete => {
                if let Some(wait) = agent.wait.take() {
                    self.answer(wait.ticket, Answer::Denied(DeniedWhy::NotFound));
                }
                self.attempts.retain(|_, attempt| attempt.agent != id);
                for trying in self.tasks.values_mut() {
                    trying.avoided.remove(&id);
                }
                self.agents.remove(&id);
            }
            AgentChange::AddPassword(_) | AgentChange::RevokePasswords | AgentChange::New(_) => {}
        }
    }

    /// `unasked`: its agent does not know yet.
    pub(super) fn drop_attempt(&mut self, id: AttemptId, unasked: bool) {
        let Some(attempt) = self.attempts.remove(&id) else {
            return;
        };
        let agent = self.agents.get_mut(&attempt.agent);
        if let Some(wait) = agent.and_then(|agent| agent.wait.as_mut()) {
            wait.assign.remove(&id);
            if unasked {
                wait.drop.insert(id);
                wait.answer = true;
            }
        }
    }

    /// It is so late: leases end, and exchanges that have waited long enough.
    pub(in crate::reference) fn pass(&mut self, now: Timestamp) -> Result<(), Mismatch> {
        self.now = now;
        for (id, agent) in &mut self.agents {
            if agent.lease_until.is_some_and(|until| until <= now) {
                agent.lease_until = None;
                let held = self.attempts.values_mut().filter(|it| it.agent == *id);
                held.for_each(|attempt| attempt.expired = true);
            }
        }
        self.settle()
    }

    /// The attempts of an agent whose lease has run out, and those that it counts on.
    pub(in crate::reference) fn is_expired(&self, id: AttemptId) -> Option<bool> {
        self.attempts.get(&id).map(|attempt| attempt.expired)
    }
}
