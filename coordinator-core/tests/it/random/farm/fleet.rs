//! What the agents of a farm do.

use grange_coordinator_core::{AttemptPhase, Input, Reply, Report};
use grange_model::{FailureKind, SetupProblem};

use crate::world::names::item_record;

use super::Farm;

impl Farm {
    pub(super) fn agent(&mut self) -> usize {
        usize::try_from(self.chance.below(self.agents.len() as u64)).unwrap()
    }

    pub(super) fn agent_speaks(&mut self) {
        let at = self.agent();
        if self.agents[at].asleep {
            return;
        }
        self.hear(at);
        let wait = self.chance.below(3) * 10_000;
        if self.agents[at].waits.is_none() || self.chance.one_in(5) {
            self.exchange(at, wait);
        }
    }

    pub(super) fn exchange(&mut self, at: usize, wait_ms: u64) {
        let ticket = self.world.ticket();
        let agent = &mut self.agents[at];
        agent.waits = Some(ticket);
        let exchange = agent.exchange(wait_ms);
        self.world.input(Input::Exchange { ticket, exchange });
    }

    /// A message comes twice, or late.
    pub(super) fn repeat_exchange(&mut self) {
        let at = self.agent();
        if let Some(exchange) = self.agents[at].last.clone() {
            let ticket = self.world.ticket();
            self.world.input(Input::Exchange { ticket, exchange });
        }
    }

    /// The agent reads what has come for it, unless that is lost on the way.
    pub(super) fn hear(&mut self, at: usize) {
        let agent = &mut self.agents[at];
        if let Some(ticket) = agent.waits
            && let Some(reply) = self.world.replies.remove(&ticket)
        {
            agent.waits = None;
            let lost = !self.healed && self.chance.one_in(6);
            match reply {
                Reply::Exchange(reply) if !lost => agent.obey(reply),
                _ => {}
            }
        }
        let world = &mut self.world;
        agent.held.retain(|_, held| {
            let reply = held.report.and_then(|ticket| world.replies.remove(&ticket));
            if reply.is_some() {
                held.report = None;
            }
            let lost = !self.healed && self.chance.one_in(6);
            reply.is_none() || lost
        });
    }

    pub(super) fn agent_works(&mut self) {
        let at = self.agent();
        if self.agents[at].asleep {
            return;
        }
        self.hear(at);
        let ids: Vec<_> = self.agents[at].held.keys().copied().collect();
        let Some(&id) = self.chance.pick(&ids) else {
            return;
        };
        let held = self.agents[at].held.get_mut(&id).unwrap();
        held.phase = match held.phase {
            AttemptPhase::Preparing => AttemptPhase::Building,
            AttemptPhase::Building => AttemptPhase::Uploading,
            AttemptPhase::Uploading => return self.report(at, id),
        };
        if self.chance.one_in(3) {
            self.report(at, id);
        }
    }

    pub(super) fn report_all(&mut self, at: usize) {
        let ids: Vec<_> = self.agents[at].held.keys().copied().collect();
        for id in ids {
            self.report(at, id);
        }
    }

    pub(super) fn report(&mut self, at: usize, attempt: grange_model::AttemptId) {
        let ticket = self.world.ticket();
        let report = self.outcome(at, attempt);
        let agent = &mut self.agents[at];
        agent.held.get_mut(&attempt).unwrap().report = Some(ticket);
        let agent = agent.id;
        self.world.input(Input::Report {
            ticket,
            agent,
            attempt,
            report,
        });
    }

    /// What comes of an attempt.
    pub(super) fn outcome(&mut self, at: usize, attempt: grange_model::AttemptId) -> Report {
        let assignment = &self.agents[at].held[&attempt].assignment;
        let digest = assignment.derivation.digest;
        let record = self.world.history.derivation(digest).unwrap();
        let inputs = record.inputs.iter().map(|input| input.output);
        let missing: Vec<_> = inputs
            .filter(|output| !self.world.history.has_item(*output))
            .collect();
        let setup = |problem| Report::SetupFailed {
            problem,
            message: "it could not begin".to_owned(),
        };
        if !missing.is_empty() {
            return setup(SetupProblem::MissingInputs(missing));
        }
        if !self.healed && self.chance.one_in(8) {
            return setup(SetupProblem::DiskFull);
        }
        if self.fails(digest) && !self.chance.one_in(4) {
            return Report::Failed {
                kind: FailureKind::Exit(1),
                message: "it does not compile".to_owned(),
                log: None,
                usage: grange_model::Usage::default(),
            };
        }
        let variant = u8::try_from(self.chance.below(200)).unwrap();
        let outputs = record.outputs.iter();
        let outputs = outputs.map(|output| item_record(&output.item, &record.item, variant));
        Report::Succeeded {
            outputs: outputs.collect(),
            log: None,
            usage: grange_model::Usage::default(),
        }
    }

    pub(super) fn agent_stumbles(&mut self) {
        let at = self.agent();
        match self.chance.below(3) {
            0 => self.agents[at].restart(true),
            1 => self.agents[at].restart(false),
            _ => self.agents[at].asleep = !self.agents[at].asleep,
        }
    }
}
