//! A core with a history beside it.

pub(crate) mod history;
pub(crate) mod names;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use grange_coordinator_core::{
    Accepted, AgentChange, Assignment, AttemptPhase, BuildStatus, Capacity, Config, Core, Denied,
    Effect, Exchange, ExchangeReply, Input, LookupId, Reply, Report, Start, Ticket, TimerReason,
};
use grange_model::{
    AgentId, AgentRecord, AttemptId, Batch, BuildSpec, BuildState, FailureKind, FinishedBuild,
    HookRecord, Key, Record, Seq, Tags, Term, Timestamp,
};
use history::History;
use names::{Drv, agent_id, build_id, digest, item_record, session_id};

/// A core, what it was promised and what it has promised. What it asks for is done when the test
/// says so, or at once by [`World::settle`].
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) config: Config,
    pub(crate) history: History,
    pub(crate) now: Timestamp,
    pub(crate) term: u64,
    pub(crate) commit: Option<(Seq, Arc<Batch>)>,
    pub(crate) lookups: VecDeque<(LookupId, Vec<Key>)>,
    pub(crate) replies: BTreeMap<Ticket, Reply>,
    /// A digest of all that came out.
    pub(crate) trace: u64,
    next_ticket: u64,
    revision: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self {
            core: Core::new(config.clone(), Start::default()),
            config,
            history: History::default(),
            now: Timestamp(1_000_000),
            term: 0,
            commit: None,
            lookups: VecDeque::new(),
            replies: BTreeMap::new(),
            trace: 0xcbf2_9ce4_8422_2325,
            next_ticket: 0,
            revision: 0,
        }
    }

    /// A farm that has these derivations.
    pub(crate) fn of(derivations: &[Drv]) -> Self {
        let mut world = Self::new();
        world.store(derivations);
        world
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.core.handle(self.now, input);
        self.check();
    }

    pub(crate) fn check(&self) {
        if let Err(violation) = self.core.check_invariants() {
            panic!("{violation}");
        }
    }

    /// Takes what the core has to say; returns whether there was anything.
    pub(crate) fn poll(&mut self) -> bool {
        let mut any = false;
        while let Some(effect) = self.core.poll_effect() {
            any = true;
            for byte in format!("{effect:?}").bytes() {
                // FNV-1a: what differs anywhere differs in the end.
                self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            match effect {
                Effect::Commit { seq, batch } => {
                    assert!(self.commit.is_none(), "two commits at once");
                    self.commit = Some((seq, batch));
                }
                Effect::Lookup { lookup, keys } => {
                    assert!(!keys.is_empty(), "a lookup of nothing");
                    self.lookups.push_back((lookup, keys));
                }
                Effect::Reply { ticket, reply } => {
                    self.check_reply(&reply);
                    let before = self.replies.insert(ticket, reply);
                    assert!(before.is_none(), "{ticket:?} is answered twice");
                }
            }
        }
        any
    }

    /// What is acknowledged must be durable.
    fn check_reply(&self, reply: &Reply) {
        if let Reply::Exchange(reply) = reply {
            for assignment in &reply.assign {
                let known = self.history.attempts.contains(&assignment.attempt);
                assert!(known, "{} is not durable", assignment.attempt);
            }
        }
    }

    pub(crate) fn write_commit(&mut self) {
        if let Some((seq, batch)) = self.commit.take() {
            self.history.commit(seq, &batch);
            self.input(Input::Committed { seq });
        }
    }

    pub(crate) fn answer_lookup(&mut self) -> bool {
        let Some((lookup, keys)) = self.lookups.pop_front() else {
            return false;
        };
        let records = keys.iter().map(|key| self.history.get(key)).collect();
        self.input(Input::Found { lookup, records });
        true
    }

    /// Does all that the core asks for, and lets it do what it has put off.
    pub(crate) fn settle(&mut self) {
        loop {
            let polled = self.poll();
            let committed = self.commit.is_some();
            self.write_commit();
            let found = self.answer_lookup();
            let works = matches!(self.core.poll_timeout(), Some((_, TimerReason::Work)));
            if works {
                self.core.handle_timeout(self.now);
                self.check();
            }
            if !(polled || committed || found || works) {
                return;
            }
        }
    }

    /// Lets time pass, with all timers on the way.
    pub(crate) fn pass(&mut self, milliseconds: u64) {
        let end = Timestamp(self.now.0 + milliseconds);
        self.settle();
        while let Some((at, _)) = self.core.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            self.check();
            self.settle();
        }
        self.now = end;
        self.core.handle_timeout(self.now);
        self.settle();
    }

    pub(crate) fn ask(&mut self, input: impl FnOnce(Ticket) -> Input) -> Option<Reply> {
        let ticket = self.ticket();
        self.input(input(ticket));
        self.settle();
        self.replies.remove(&ticket)
    }

    /// Ends the core, and starts another on what is written.
    pub(crate) fn restart(&mut self) {
        self.commit = None;
        self.lookups.clear();
        self.replies.clear();
        self.term += 1;
        let start = Start {
            term: Term(self.term),
            seq: self.history.seq,
            fact: self.history.last_fact(),
            seed: self.term,
        };
        self.core = Core::new(self.config.clone(), start);
        let loading = self.history.loading();
        let mut available = loading.questions();
        available.retain(|output| self.history.item(*output).is_some());
        self.core.load(self.now, loading, &available).unwrap();
        self.check();
    }

    pub(crate) fn store(&mut self, derivations: &[Drv]) {
        let records = derivations
            .iter()
            .map(|drv| Record::Derivation(drv.0.clone()));
        let records = records.collect();
        let reply = self.ask(|ticket| Input::Store { ticket, records });
        assert_eq!(reply, Some(Reply::Done));
    }

    pub(crate) fn upload(&mut self, output: &str) {
        let item = names::item(output);
        let records = vec![Record::Item(item_record(&item, &item, 1))];
        let reply = self.ask(|ticket| Input::Store { ticket, records });
        assert_eq!(reply, Some(Reply::Done));
    }

    pub(crate) fn submit_all(&mut self, builds: Vec<BuildSpec>) -> Vec<Result<Accepted, Denied>> {
        match self.ask(|ticket| Input::Submit { ticket, builds }) {
            Some(Reply::Submitted(results)) => results,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn submit(&mut self, spec: BuildSpec) -> Result<Accepted, Denied> {
        self.submit_all(vec![spec]).remove(0)
    }

    /// Submits a build that must be accepted; returns where it stands.
    pub(crate) fn build(&mut self, spec: BuildSpec) -> BuildState {
        self.submit(spec).expect("it is accepted").state
    }

    pub(crate) fn cancel(&mut self, number: u128) -> Option<BuildState> {
        let builds = vec![build_id(number)];
        match self.ask(|ticket| Input::Cancel { ticket, builds }) {
            Some(Reply::Canceled(states)) => states[0],
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn hook(
        &mut self,
        builds: Vec<BuildSpec>,
        reopen: Vec<FinishedBuild>,
    ) -> Vec<Result<Accepted, Denied>> {
        let record = HookRecord {
            name: "hook".to_owned(),
            cursor: self.history.last_fact(),
            dead_letters: Vec::new(),
        };
        let input = |ticket| Input::Hook {
            ticket,
            record,
            builds,
            reopen,
        };
        match self.ask(input) {
            Some(Reply::Submitted(results)) => results,
            other => panic!("{other:?}"),
        }
    }

    /// Where a build stands, finished or not.
    pub(crate) fn state(&self, number: u128) -> BuildState {
        let id = build_id(number);
        match self.core.build(id) {
            Some(status) => status.state,
            None => self.finished(number).state,
        }
    }

    pub(crate) fn status(&self, number: u128) -> BuildStatus {
        self.core.build(build_id(number)).expect("it is unfinished")
    }

    pub(crate) fn finished(&self, number: u128) -> FinishedBuild {
        let id = build_id(number);
        self.history.finished(id).expect("it has ended")
    }

    /// The unfinished implicit build of a derivation, if there is one.
    pub(crate) fn implicit(&self, derivation: &str) -> Option<BuildStatus> {
        let digest = digest(derivation);
        let is = |status: &BuildStatus| {
            status.record.implicit && status.record.spec.derivation == digest
        };
        self.core.builds(None).find(is)
    }

    pub(crate) fn change_agent(&mut self, number: u128, change: AgentChange) -> Reply {
        let agent = agent_id(number);
        let input = |ticket| Input::Agent {
            ticket,
            agent,
            change,
        };
        self.ask(input).expect("an answer")
    }

    pub(crate) fn add_agent(&mut self, number: u128) {
        let record = AgentRecord {
            id: agent_id(number),
            name: format!("agent {number}"),
            tags: Tags::new(),
            passwords: Vec::new(),
            paused: false,
            created_at: self.now,
        };
        let reply = self.change_agent(number, AgentChange::New(record));
        assert_eq!(reply, Reply::Done);
    }

    pub(crate) fn exchange(
        &mut self,
        agent: u128,
        capacity: Capacity,
        attempts: &[AttemptId],
        wait_ms: u64,
    ) -> Ticket {
        self.revision += 1;
        let phase = AttemptPhase::Building;
        let exchange = Exchange {
            agent: agent_id(agent),
            session: session_id(1),
            revision: self.revision,
            capacity,
            load: 0,
            attempts: attempts.iter().map(|id| (*id, phase)).collect(),
            wait_ms,
        };
        self.send(exchange)
    }

    pub(crate) fn send(&mut self, exchange: Exchange) -> Ticket {
        let ticket = self.ticket();
        self.input(Input::Exchange { ticket, exchange });
        self.settle();
        ticket
    }

    /// An exchange of a new agent that waits.
    pub(crate) fn exchange_new(&mut self, agent: u128, capacity: Capacity) -> Ticket {
        self.add_agent(agent);
        self.exchange(agent, capacity, &[], 20_000)
    }

    /// The answer to an exchange, if there is one yet.
    pub(crate) fn told(&mut self, ticket: Ticket) -> Option<ExchangeReply> {
        match self.replies.remove(&ticket)? {
            Reply::Exchange(reply) => Some(reply),
            other => panic!("{other:?}"),
        }
    }

    /// A new agent, or one that holds nothing, asks for work; returns what it gets.
    pub(crate) fn take(&mut self, agent: u128, parallel: u32) -> Vec<Assignment> {
        self.take_with(agent, names::capacity(parallel))
    }

    pub(crate) fn take_with(&mut self, agent: u128, capacity: Capacity) -> Vec<Assignment> {
        if self.core.agent(agent_id(agent)).is_none() {
            self.add_agent(agent);
        }
        let ticket = self.exchange(agent, capacity, &[], 0);
        self.told(ticket).expect("an answer").assign
    }

    /// The one assignment that an agent gets.
    pub(crate) fn take_one(&mut self, agent: u128) -> Assignment {
        let mut assigned = self.take(agent, 1);
        assert_eq!(assigned.len(), 1, "{assigned:?}");
        assigned.remove(0)
    }

    pub(crate) fn report(&mut self, agent: u128, attempt: AttemptId, report: Report) -> Reply {
        let agent = agent_id(agent);
        let input = |ticket| Input::Report {
            ticket,
            agent,
            attempt,
            report,
        };
        self.ask(input).expect("an answer")
    }

    pub(crate) fn success(&self, assignment: &Assignment, variant: u8) -> Report {
        let derivation = self
            .history
            .derivation(assignment.derivation.digest)
            .unwrap();
        let outputs = derivation
            .outputs
            .iter()
            .map(|output| item_record(&output.item, &assignment.derivation, variant));
        Report::Succeeded {
            outputs: outputs.collect(),
            log: None,
        }
    }

    pub(crate) fn succeed(&mut self, agent: u128, assignment: &Assignment) {
        let report = self.success(assignment, 1);
        assert_eq!(self.report(agent, assignment.attempt, report), Reply::Done);
    }

    pub(crate) fn fail(&mut self, agent: u128, assignment: &Assignment) {
        let report = failure();
        assert_eq!(self.report(agent, assignment.attempt, report), Reply::Done);
    }

    /// An agent takes what there is and succeeds, until nothing is left for it.
    pub(crate) fn work_off(&mut self, agent: u128) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            let Some(assignment) = self.take(agent, 1).pop() else {
                return names;
            };
            names.push(assignment.derivation.name.clone());
            self.succeed(agent, &assignment);
        }
    }

    pub(crate) fn agent_present(&self, number: u128) -> bool {
        let id: AgentId = agent_id(number);
        self.core.agent(id).is_some_and(|agent| agent.present)
    }
}

pub(crate) fn failure() -> Report {
    Report::Failed {
        kind: FailureKind::Exit(1),
        message: "it does not compile".to_owned(),
        log: None,
    }
}

pub(crate) fn setup_failure(problem: grange_model::SetupProblem) -> Report {
    Report::SetupFailed {
        problem,
        message: "it could not begin".to_owned(),
    }
}
