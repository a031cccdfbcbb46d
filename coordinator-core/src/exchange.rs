//! Agents say their whole truth, and are told theirs.
//!
//! Each message is complete, so that lost, doubled and late ones, and restarts of either side, are
//! one case: what the core counts on and the agent does not name is assigned again; what the agent
//! names and the core does not know is dropped.

use std::collections::BTreeSet;
use std::time::Duration;

use grange_model::{AgentId, AttemptId, BuildId, Fact, Limits, SessionId};

use crate::io::{
    Assignment, AttemptPhase, Denied, DeniedWhy, Exchange, ExchangeReply, Reply, Ticket,
    TimerReason,
};
use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::{Agent, Attempt, TaskState, Waiting};

impl Core {
    pub(crate) fn exchange(&mut self, ticket: Ticket, exchange: Exchange) {
        let ix = match self.find_agent(exchange.agent, exchange.session, exchange.revision) {
            Ok(ix) => ix,
            Err(denied) => return self.ledger.reply(ticket, Reply::Denied(denied)),
        };
        self.overtake(ix, exchange.session);
        self.renew(ix, &exchange);
        let held: BTreeSet<AttemptId> = exchange.attempts.iter().map(|(id, _)| *id).collect();
        let mut drop = Vec::new();
        for (id, phase) in exchange.attempts {
            match self.find_attempt(exchange.agent, id) {
                Ok(attempt) if self.is_overdue(attempt) => {
                    self.give_up(attempt);
                    drop.push(id);
                }
                Ok(attempt) => self.hold(attempt, phase),
                Err(_) => drop.push(id),
            }
        }
        let silent = self.agents[ix].attempts.iter().copied();
        let silent: Vec<_> = silent.filter(|attempt| self.is_overdue(*attempt)).collect();
        for attempt in silent {
            self.give_up(attempt);
        }
        let attempts = &self.agents[ix].attempts;
        let unheard = |attempt: &Ix<Attempt>| !held.contains(&self.attempts[*attempt].record.id);
        let assign: Vec<_> = attempts
            .iter()
            .copied()
            .filter(|attempt| unheard(attempt))
            .collect();
        for &attempt in &assign {
            self.hold(attempt, AttemptPhase::Preparing);
        }
        let wait = Duration::from_millis(exchange.wait_ms).min(self.config.max_wait);
        let until = self.now.after(wait.min(self.config.lease / 2));
        let must_answer = !assign.is_empty() || !drop.is_empty() || wait.is_zero();
        self.agents[ix].waiting = Some(Waiting {
            ticket,
            until,
            assign,
            drop,
        });
        self.waiting.insert(ix);
        self.roomy.insert(ix);
        if must_answer {
            self.to_answer.insert(ix);
        } else {
            self.timers.insert((until, TimerReason::Wait, ix.0));
        }
    }

    /// The agent, if this is its newest word.
    ///
    /// Counter-example: an agent is started a second time with the same identity while the first
    /// still runs. Both would be told to drop what the other holds, for ever. The later session
    /// wins, and the earlier one ends.
    fn find_agent(
        &self,
        id: AgentId,
        session: SessionId,
        revision: u64,
    ) -> Result<Ix<Agent>, Denied> {
        let denied = |why, message: String| Err(Denied { why, message });
        let Some(&ix) = self.names.agents.get(&id) else {
            return denied(DeniedWhy::NotFound, format!("there is no agent {id}"));
        };
        let agent = &self.agents[ix];
        match agent.session {
            Some(newest) if newest > session => denied(
                DeniedWhy::Conflict,
                format!("agent {id} was started again elsewhere"),
            ),
            Some(newest) if newest == session && revision < agent.revision => denied(
                DeniedWhy::Conflict,
                "a later exchange has overtaken this one".to_owned(),
            ),
            _ => Ok(ix),
        }
    }

    /// Answers an exchange that waits when the next one comes: what it would have been told, the
    /// next one is told. One of an earlier session learns that it is over.
    fn overtake(&mut self, ix: Ix<Agent>, session: SessionId) {
        let Some(waiting) = self.take_waiting(ix) else {
            return;
        };
        let agent = &self.agents[ix];
        let reply = if agent.session == Some(session) {
            Reply::Exchange(self.nothing_to_do())
        } else {
            Reply::Denied(Denied {
                why: DeniedWhy::Conflict,
                message: format!("agent {} was started again elsewhere", agent.record.id),
            })
        };
        self.ledger.reply(waiting.ticket, reply);
    }

    /// The exchange that waits, if one does; it waits no longer.
    pub(crate) fn take_waiting(&mut self, ix: Ix<Agent>) -> Option<Waiting> {
        let waiting = self.agents[ix].waiting.take()?;
        self.waiting.remove(&ix);
        self.to_answer.remove(&ix);
        self.timers
            .remove(&(waiting.until, TimerReason::Wait, ix.0));
        Some(waiting)
    }

    fn renew(&mut self, ix: Ix<Agent>, exchange: &Exchange) {
        let lease_until = self.now.after(self.config.lease);
        let agent = &self.agents[ix];
        let offers_else = !agent.is_present() || agent.capacity != exchange.capacity;
        let agent = &mut self.agents[ix];
        agent.session = Some(exchange.session);
        agent.revision = exchange.revision;
        agent.capacity = exchange.capacity.clone();
        agent.health = exchange.health;
        agent.seen_at = Some(self.now);
        if let Some(before) = agent.lease_until.replace(lease_until) {
            self.timers.remove(&(before, TimerReason::Lease, ix.0));
        }
        self.timers.insert((lease_until, TimerReason::Lease, ix.0));
        if offers_else {
            self.wake_backed_off(ix);
        }
    }

    /// The agent has the attempt in its hands. If its lease had run out, it is revived: until
    /// another attempt has won, both race.
    fn hold(&mut self, ix: Ix<Attempt>, phase: AttemptPhase) {
        let attempt = &mut self.attempts[ix];
        let before = std::mem::replace(&mut attempt.phase, phase);
        let agent = &mut self.agents[attempt.agent];
        let uploads = |phase| phase == AttemptPhase::Uploading;
        match (uploads(before), uploads(phase)) {
            (false, true) => {
                agent.uploading += 1;
                agent.vacate(&attempt.needs);
            }
            (true, false) => {
                agent.uploading -= 1;
                agent.occupy(&attempt.needs);
            }
            _ => {}
        }
        if attempt.expired {
            attempt.expired = false;
            let task = attempt.task;
            self.set_state(task, TaskState::Running);
        }
    }

    pub(crate) fn lease_ended(&mut self, row: u32) {
        let ix = Ix::new(row);
        let Some(agent) = self.agents.get(ix) else {
            return;
        };
        if agent.lease_until.is_none_or(|until| until > self.now) {
            return;
        }
        self.agents[ix].lease_until = None;
        self.expire_attempts(ix);
    }

    /// Others may try what the agent holds.
    fn expire_attempts(&mut self, ix: Ix<Agent>) {
        for attempt in self.agents[ix].attempts.clone() {
            let row = &mut self.attempts[attempt];
            if row.expired {
                continue;
            }
            row.expired = true;
            let (task, id, agent) = (row.task, row.record.id, row.record.agent);
            let derivation = row.record.derivation;
            self.ledger.fact(Fact::Expired {
                attempt: id,
                derivation,
                agent,
            });
            self.settle_task(task);
        }
    }

    pub(crate) fn wait_ended(&mut self, row: u32) {
        let ix = Ix::new(row);
        let Some(agent) = self.agents.get(ix) else {
            return;
        };
        if agent
            .waiting
            .as_ref()
            .is_some_and(|waiting| waiting.until <= self.now)
        {
            self.to_answer.insert(ix);
        }
    }

    /// Answers the exchanges that have something to say.
    pub(crate) fn answer_waiting(&mut self) {
        while let Some(ix) = self.to_answer.pop_first() {
            let waits = self.agents.get(ix).is_some();
            let Some(waiting) = waits.then(|| self.take_waiting(ix)).flatten() else {
                continue;
            };
            let assign = waiting
                .assign
                .iter()
                .map(|attempt| self.assignment(*attempt))
                .collect();
            let reply = ExchangeReply {
                assign,
                drop: waiting.drop,
                ..self.nothing_to_do()
            };
            self.ledger.reply(waiting.ticket, Reply::Exchange(reply));
        }
    }

    fn nothing_to_do(&self) -> ExchangeReply {
        ExchangeReply {
            assign: Vec::new(),
            drop: Vec::new(),
            lease_ms: u64::try_from(self.config.lease.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn assignment(&self, ix: Ix<Attempt>) -> Assignment {
        let attempt = &self.attempts[ix];
        let task = &self.tasks[attempt.task];
        let derivation = &self.derivations[task.derivation];
        let builds = || task.builds.iter().map(|build| &self.builds[*build]);
        let most = |limit: fn(&Limits) -> u64| builds().map(|it| limit(&it.ask.limits)).max();
        Assignment {
            attempt: attempt.record.id,
            derivation: derivation.item.clone(),
            store: derivation.kind.store.clone(),
            builds: builds().map(|build| build.id).collect::<Vec<BuildId>>(),
            limits: Limits {
                timeout_ms: most(|limits| limits.timeout_ms).unwrap_or(u64::MAX),
                max_silent_ms: most(|limits| limits.max_silent_ms).unwrap_or(u64::MAX),
            },
        }
    }
}
