//! A core with a policy, whose commits are durable at once.

use std::collections::BTreeMap;

use grange_coordinator_core::{
    AgentChange, Assignment, Capacity, Config, Core, Effect, Exchange, Health, Input, Policy,
    Reply, Report, Start, Ticket, TimerReason,
};
use grange_model::{
    AgentRecord, AttemptId, Batch, BuildSpec, Change, FailureKind, Key, Record, SessionId,
    SetupProblem, Tags, Timestamp,
};
use uuid::Uuid;

use crate::sample;

pub(super) struct Farm {
    core: Core,
    records: BTreeMap<Key, Record>,
    now: Timestamp,
    tickets: u64,
    revision: u64,
    replies: BTreeMap<Ticket, Reply>,
}

impl Farm {
    /// One with so many derivations that need nothing, and so many agents.
    pub(super) fn new(policy: Policy, derivations: u32, agents: u32) -> Self {
        let config = Config {
            policy,
            ..Config::default()
        };
        let mut farm = Self {
            core: Core::new(config, Start::default()),
            records: BTreeMap::new(),
            now: Timestamp(1_767_225_600_000),
            tickets: 0,
            revision: 0,
            replies: BTreeMap::new(),
        };
        let records = (0..derivations).map(|number| {
            let mut derivation = sample::derivation(number);
            derivation.inputs.clear();
            derivation.features.clear();
            derivation.system = "x86_64-linux".to_owned();
            Record::Derivation(derivation)
        });
        let records = records.collect();
        farm.ask(|ticket| Input::Store { ticket, records });
        for number in 0..agents {
            let agent = sample::agent_id(number);
            let record = AgentRecord {
                id: agent,
                name: format!("agent {number}"),
                tags: Tags::new(),
                passwords: Vec::new(),
                paused: false,
                created_at: farm.now,
            };
            farm.ask(|ticket| Input::Agent {
                ticket,
                agent,
                change: AgentChange::New(record),
            });
        }
        farm
    }

    pub(super) fn ask(&mut self, input: impl FnOnce(Ticket) -> Input) -> Option<Reply> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.now.0 += 1;
        self.core.handle(self.now, input(ticket));
        self.settle();
        self.replies.remove(&ticket)
    }

    fn settle(&mut self) {
        loop {
            while let Some(effect) = self.core.poll_effect() {
                match effect {
                    Effect::Commit { seq, batch } => {
                        self.write(&batch);
                        self.core.handle(self.now, Input::Committed { seq });
                    }
                    Effect::Lookup { lookup, keys } => {
                        let records = keys.iter().map(|key| self.records.get(key).cloned());
                        let records = records.collect();
                        self.core.handle(self.now, Input::Found { lookup, records });
                    }
                    Effect::Reply { ticket, reply } => {
                        self.replies.insert(ticket, reply);
                    }
                }
            }
            if !matches!(self.core.poll_timeout(), Some((_, TimerReason::Work))) {
                return;
            }
            self.core.handle_timeout(self.now);
        }
    }

    fn write(&mut self, batch: &Batch) {
        for change in &batch.changes {
            match change {
                Change::Put(record) => self.records.insert(record.key(), record.clone()),
                Change::Remove(key) => self.records.remove(key),
            };
        }
    }

    pub(super) fn submit(&mut self, spec: BuildSpec) {
        let reply = self.ask(|ticket| Input::Submit {
            ticket,
            builds: vec![spec],
        });
        let taken =
            matches!(&reply, Some(Reply::Submitted(results)) if results.iter().all(Result::is_ok));
        assert!(taken, "{reply:?}");
    }

    /// An agent asks for work, holding nothing; `wait_ms`: and waits for it.
    pub(super) fn exchange(&mut self, agent: u32, parallel: u32, wait_ms: u64) -> Ticket {
        self.revision += 1;
        let exchange = Exchange {
            agent: sample::agent_id(agent),
            session: SessionId(Uuid::from_u128(1)),
            revision: self.revision,
            capacity: Capacity {
                systems: vec!["x86_64-linux".to_owned()],
                parallel,
                ..Capacity::default()
            },
            health: Health {
                load: agent * 10,
                ..Health::default()
            },
            attempts: Vec::new(),
            wait_ms,
        };
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.now.0 += 1;
        self.core
            .handle(self.now, Input::Exchange { ticket, exchange });
        self.settle();
        ticket
    }

    /// What an agent was told, if it was.
    pub(super) fn told(&mut self, ticket: Ticket) -> Vec<Assignment> {
        match self.replies.remove(&ticket) {
            Some(Reply::Exchange(told)) => told.assign,
            Some(other) => panic!("{other:?}"),
            None => Vec::new(),
        }
    }

    /// An attempt ends.
    pub(super) fn end(&mut self, agent: u32, attempt: AttemptId) {
        let report = Report::Failed {
            kind: FailureKind::Exit(1),
            message: "it does not compile".to_owned(),
            log: None,
            usage: grange_model::Usage::default(),
        };
        self.report(agent, attempt, report);
    }

    /// An attempt does not begin.
    pub(super) fn fail_to_set_up(&mut self, agent: u32, attempt: AttemptId) {
        let report = Report::SetupFailed {
            problem: SetupProblem::Other,
            message: "it cannot be set up".to_owned(),
        };
        self.report(agent, attempt, report);
    }

    fn report(&mut self, agent: u32, attempt: AttemptId, report: Report) {
        let reply = self.ask(|ticket| Input::Report {
            ticket,
            agent: sample::agent_id(agent),
            attempt,
            report,
        });
        assert_eq!(reply, Some(Reply::Done));
    }

    pub(super) fn ready(&self) -> u64 {
        self.core.counts().ready
    }
}
