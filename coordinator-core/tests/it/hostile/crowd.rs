//! A core with very many rows: what must hold is looked at when it is asked for, not after each call.

use std::collections::BTreeMap;

use grange_coordinator_core::{
    Accepted, AgentChange, Assignment, AttemptPhase, Capacity, Config, Core, Denied, Effect,
    Exchange, ExchangeReply, Health, Input, Reply, Report, Start, Ticket, TimerReason,
};
use grange_model::{
    AgentRecord, AttemptId, BuildSpec, Change, DerivationRecord, Digest, Key, Record, Tags,
    Timestamp,
};

use crate::world::names::{Drv, agent_id, item_record, session_id};

/// What is committed is durable at once, and what is asked for is found at once.
#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) core: Core,
    pub(super) now: Timestamp,
    /// The most keys that were looked up at once, and the most changes that were committed at once.
    pub(super) most_keys: usize,
    pub(super) most_changes: usize,
    /// How often work went on that was put off.
    pub(super) slices: usize,
    derivations: BTreeMap<Digest, DerivationRecord>,
    records: BTreeMap<Key, Record>,
    replies: BTreeMap<Ticket, Reply>,
    tickets: u64,
    revision: u64,
}

impl Crowd {
    pub(super) fn new(config: Config) -> Self {
        Self {
            core: Core::new(config, Start::default()),
            now: Timestamp(1_000_000),
            most_keys: 0,
            most_changes: 0,
            slices: 0,
            derivations: BTreeMap::new(),
            records: BTreeMap::new(),
            replies: BTreeMap::new(),
            tickets: 0,
            revision: 0,
        }
    }

    /// Makes derivations known, without a word to the core: it asks for what it wants to know.
    pub(super) fn know(&mut self, derivations: impl IntoIterator<Item = Drv>) {
        let all = derivations.into_iter();
        self.derivations
            .extend(all.map(|drv| (drv.0.item.digest, drv.0)));
    }

    pub(super) fn hand_in(&mut self, input: impl FnOnce(Ticket) -> Input) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.core.handle(self.now, input(ticket));
        self.settle();
        ticket
    }

    pub(super) fn ask(&mut self, input: impl FnOnce(Ticket) -> Input) -> Reply {
        let ticket = self.hand_in(input);
        self.replies.remove(&ticket).expect("an answer")
    }

    pub(super) fn submit(&mut self, builds: Vec<BuildSpec>) -> Vec<Result<Accepted, Denied>> {
        match self.ask(|ticket| Input::Submit { ticket, builds }) {
            Reply::Submitted(results) => results,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn add_agent(&mut self, number: u128) {
        let change = AgentChange::New(AgentRecord {
            id: agent_id(number),
            name: format!("agent-{number}"),
            tags: Tags::new(),
            passwords: Vec::new(),
            paused: false,
            created_at: self.now,
        });
        assert_eq!(self.change(number, change), Reply::Done);
    }

    pub(super) fn change(&mut self, number: u128, change: AgentChange) -> Reply {
        let agent = agent_id(number);
        self.ask(|ticket| Input::Agent {
            ticket,
            agent,
            change,
        })
    }

    /// An agent that holds these, and was started so many times, says so.
    pub(super) fn exchange(
        &mut self,
        agent: u128,
        session: u128,
        capacity: Capacity,
        holds: &[AttemptId],
        wait_ms: u64,
    ) -> Ticket {
        self.revision += 1;
        let exchange = Exchange {
            agent: agent_id(agent),
            session: session_id(session),
            revision: self.revision,
            capacity,
            health: Health::default(),
            attempts: holds
                .iter()
                .map(|id| (*id, AttemptPhase::Preparing))
                .collect(),
            wait_ms,
        };
        self.hand_in(|ticket| Input::Exchange { ticket, exchange })
    }

    /// What an exchange was told, if it was told anything yet.
    pub(super) fn told(&mut self, ticket: Ticket) -> Option<ExchangeReply> {
        match self.replies.remove(&ticket)? {
            Reply::Exchange(reply) => Some(reply),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn succeed(&mut self, agent: u128, assignment: &Assignment) -> Reply {
        let record = &self.derivations[&assignment.derivation.digest];
        let outputs = record.outputs.iter();
        let outputs = outputs.map(|output| item_record(&output.item, &record.item, 1));
        let report = Report::Succeeded {
            outputs: outputs.collect(),
            log: None,
            usage: grange_model::Usage::default(),
        };
        let (agent, attempt) = (agent_id(agent), assignment.attempt);
        self.ask(|ticket| Input::Report {
            ticket,
            agent,
            attempt,
            report,
        })
    }

    /// Lets time pass, with all timers on the way.
    pub(super) fn pass(&mut self, milliseconds: u64) {
        let end = Timestamp(self.now.0 + milliseconds);
        while let Some((at, _)) = self.core.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// What must hold holds. Without builds, nothing is kept of any.
    pub(super) fn check(&self) {
        if let Err(violation) = self.core.check_invariants() {
            panic!("{violation}");
        }
    }

    fn settle(&mut self) {
        loop {
            while let Some(effect) = self.core.poll_effect() {
                self.perform(effect);
            }
            if !matches!(self.core.poll_timeout(), Some((_, TimerReason::Work))) {
                return;
            }
            self.slices += 1;
            self.core.handle_timeout(self.now);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Commit { seq, batch } => {
                self.most_changes = self.most_changes.max(batch.changes.len());
                for change in &batch.changes {
                    match change {
                        Change::Put(record) => {
                            self.records.insert(record.key(), record.clone());
                        }
                        Change::Remove(key) => {
                            self.records.remove(key);
                        }
                    }
                }
                self.core.handle(self.now, Input::Committed { seq });
            }
            Effect::Lookup { lookup, keys } => {
                self.most_keys = self.most_keys.max(keys.len());
                let records = keys.iter().map(|key| self.find(key)).collect();
                self.core.handle(self.now, Input::Found { lookup, records });
            }
            Effect::Reply { ticket, reply } => {
                self.replies.insert(ticket, reply);
            }
        }
    }

    fn find(&self, key: &Key) -> Option<Record> {
        match key {
            Key::Derivation(digest) => {
                let record = self.derivations.get(digest)?;
                Some(Record::Derivation(record.clone()))
            }
            key => self.records.get(key).cloned(),
        }
    }
}
