//! What clients, agents and operators do, a line each.

use grange_coordinator_core::{
    Accepted, AgentChange, Assignment, AttemptPhase, BuildStatus, Capacity, Denied, Exchange,
    ExchangeReply, Input, Reply, Report, Ticket,
};
use grange_model::{
    AgentId, AgentRecord, AttemptId, BuildSpec, BuildState, Digest, FailureKind, FinishedBuild,
    HookRecord, Record, Tags, UpstreamRecord,
};

use super::World;
use super::names::{self, Drv, agent_id, build_id, digest, item_record, session_id};

impl World {
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

    /// A server of others has an output.
    pub(crate) fn upstream(&mut self, output: &str) {
        let item = item_record(&names::item(output), &names::item(output), 1);
        let records = vec![Record::Upstream(UpstreamRecord {
            item: item.item,
            store: item.store,
            nar_hash: item.nar_hash,
            nar_size: item.nar_size,
            references: item.references,
            deriver: None,
        })];
        let reply = self.ask(|ticket| Input::Store { ticket, records });
        assert_eq!(reply, Some(Reply::Done));
    }

    /// It has it no more.
    pub(crate) fn gone_upstream(&mut self, output: &str) {
        let outputs = vec![digest(output)];
        let reply = self.ask(|ticket| Input::GoneUpstream { ticket, outputs });
        assert_eq!(reply, Some(Reply::Done));
    }

    /// Deletes outputs; returns those that builds make or need.
    pub(crate) fn prune(&mut self, outputs: &[&str]) -> Vec<Digest> {
        let outputs = outputs.iter().map(|output| digest(output)).collect();
        match self.ask(|ticket| Input::Prune { ticket, outputs }) {
            Some(Reply::Pruned(needed)) => needed,
            other => panic!("{other:?}"),
        }
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
            health: grange_coordinator_core::Health::default(),
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
            usage: grange_model::Usage::default(),
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
        usage: grange_model::Usage::default(),
    }
}

pub(crate) fn setup_failure(problem: grange_model::SetupProblem) -> Report {
    Report::SetupFailed {
        problem,
        message: "it could not begin".to_owned(),
    }
}
