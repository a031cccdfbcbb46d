//! What the operator does with agents.

use grange_model::{AgentId, AttemptOutcome, Fact, Key, Record};

use crate::io::{AgentChange, Denied, DeniedWhy, Reply, Ticket, TimerReason};
use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::Agent;

/// More passwords than this an agent does not need.
const MAX_PASSWORDS: usize = 16;

impl Core {
    pub(crate) fn change_agent(&mut self, ticket: Ticket, id: AgentId, change: AgentChange) {
        let reply = match self.names.agents.get(&id) {
            Some(&ix) => self.change_known(ix, change),
            None => match change {
                AgentChange::New(record) => {
                    self.put_agent(Agent::new(record));
                    Ok(())
                }
                AgentChange::Delete => Ok(()),
                _ => Err(Denied {
                    why: DeniedWhy::NotFound,
                    message: format!("there is no agent {id}"),
                }),
            },
        };
        self.ledger
            .reply(ticket, reply.map_or_else(Reply::Denied, |()| Reply::Done));
    }

    fn change_known(&mut self, ix: Ix<Agent>, change: AgentChange) -> Result<(), Denied> {
        let record = &mut self.agents[ix].record;
        match change {
            AgentChange::New(_) => return Ok(()),
            AgentChange::AddPassword(_) if record.passwords.len() >= MAX_PASSWORDS => {
                return Err(Denied {
                    why: DeniedWhy::TooMuch,
                    message: format!("the agent has {MAX_PASSWORDS} passwords; revoke them first"),
                });
            }
            AgentChange::AddPassword(hash) => record.passwords.push(hash),
            AgentChange::RevokePasswords => record.passwords.clear(),
            AgentChange::Pause(paused) => record.paused = paused,
            AgentChange::Tags(tags) => record.tags = tags,
            AgentChange::Delete => {
                self.delete_agent(ix);
                return Ok(());
            }
        }
        let record = record.clone();
        self.ledger.fact(Fact::AgentChanged { agent: record.id });
        self.ledger.put(Record::Agent(record));
        self.roomy.insert(ix);
        self.wake_backed_off(ix);
        Ok(())
    }

    fn put_agent(&mut self, agent: Agent) {
        let record = agent.record.clone();
        self.ledger.fact(Fact::AgentChanged { agent: record.id });
        self.ledger.put(Record::Agent(record.clone()));
        let ix = self.agents.insert(agent);
        self.names.agents.insert(record.id, ix);
    }

    /// What it holds goes to others.
    fn delete_agent(&mut self, ix: Ix<Agent>) {
        let id = self.agents[ix].record.id;
        if let Some(waiting) = self.take_waiting(ix) {
            let message = format!("agent {id} was deleted");
            let denied = Denied {
                why: DeniedWhy::NotFound,
                message,
            };
            self.ledger.reply(waiting.ticket, Reply::Denied(denied));
        }
        for attempt in self.agents[ix].attempts.clone() {
            let task = self.attempts[attempt].task;
            let summary = self.summary(attempt, AttemptOutcome::Lost);
            self.add_past(task, summary);
            self.drop_attempt(attempt, false);
            self.settle_task(task);
        }
        if let Some(until) = self.agents[ix].lease_until {
            self.timers.remove(&(until, TimerReason::Lease, ix.0));
        }
        self.names.agents.remove(&id);
        self.agents.remove(ix);
        self.ledger.fact(Fact::AgentChanged { agent: id });
        self.ledger.remove(Key::Agent(id));
    }
}
