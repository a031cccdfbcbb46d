//! An agent's lives, and what it keeps over them.

use std::collections::BTreeMap;

use grange_agent_core::{Core, Input, Settings};
use grange_coordinator_core::Assignment;
use grange_model::{AttemptId, FailureKind, NarHash, SessionId, SetupProblem};
use uuid::Uuid;

use crate::dice::Dice;
use crate::disk::Content;
use crate::event::Event;
use crate::farm::Farm;
use crate::message::CallId;
use crate::scenario::{AgentPlan, tags};
use crate::time::{Clock, Moment};

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) plan: AgentPlan,
    pub(crate) dice: Dice,
    pub(crate) clock: Clock,
    pub(crate) core: Option<Core>,
    pub(crate) life: u64,
    /// What the coordinator said of attempts; the core may take them up later, or again.
    pub(crate) known: BTreeMap<AttemptId, Assignment>,
    pub(crate) runs: BTreeMap<AttemptId, Run>,
    /// Results that are on its disk.
    pub(crate) spool: BTreeMap<AttemptId, (Assignment, Made)>,
    pub(crate) calls: BTreeMap<u64, Purpose>,
    /// The exchange that is under way.
    pub(crate) exchange: Option<u64>,
    pub(crate) asleep_until: Moment,
    pub(crate) wakes: Option<Moment>,
    pub(crate) number: u64,
}

/// What is under way for an attempt.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) assignment: Assignment,
    /// Counts what was begun for it: what comes of earlier things counts no more.
    pub(crate) serial: u64,
    pub(crate) end: Option<End>,
}

/// How an attempt ended on its agent.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Made(Made),
    Setup(SetupProblem),
}

/// What the builder made.
#[derive(Clone, Debug)]
pub(crate) enum Made {
    /// These, and what the agent says of them.
    Outputs(Vec<Content>, Vec<NarHash>),
    Nothing(FailureKind),
}

/// What a call is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Exchange(u64),
    Inputs(AttemptId, u64),
    /// Where an output's upload stands, or how far it came.
    Upload(AttemptId, u64, usize),
    Report(AttemptId, u64),
}

/// What an agent's step came to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StepEnd {
    Prepared,
    Built,
    Spooled,
    Closed,
}

impl Agent {
    pub(crate) fn new(plan: AgentPlan, dice: Dice) -> Self {
        Self {
            clock: Clock::new(plan.offset_ms, plan.drift),
            plan,
            dice,
            core: None,
            life: 0,
            known: BTreeMap::new(),
            runs: BTreeMap::new(),
            spool: BTreeMap::new(),
            calls: BTreeMap::new(),
            exchange: None,
            asleep_until: Moment(0),
            wakes: None,
            number: 0,
        }
    }

    /// From now on it is honest, takes everything, and its clock goes right.
    pub(crate) fn heal(&mut self, now: Moment) {
        let systems = ["x86_64-linux", "builtin", "i686-linux"];
        self.plan.capacity.systems = systems.map(str::to_owned).to_vec();
        self.plan.capacity.tags = tags(&[("feature:kvm", "yes"), ("year", "2019"), ("big", "yes")]);
        self.plan.capacity.exclusive.clear();
        self.plan.capacity.resources.clear();
        self.plan.lies = 0;
        self.plan.setup_failures = 0;
        self.asleep_until = self.asleep_until.min(now);
        self.clock.mend(now);
    }

    /// Whether it has nothing to do.
    pub(crate) fn is_idle(&self) -> bool {
        let mut core = self.core.iter().flat_map(|core| core.held());
        core.next().is_none() && self.runs.is_empty() && self.spool.is_empty()
    }
}

impl Farm {
    pub(crate) fn start_agent(&mut self, at: usize) {
        let now = self.now;
        let agent = &mut self.agents[at];
        if agent.core.is_some() {
            return;
        }
        agent.life += 1;
        let capacity = &agent.plan.capacity;
        let settings = Settings {
            parallel: capacity.parallel,
            ahead: capacity.ahead,
            seed: agent.dice.throw(),
            ..Settings::default()
        };
        let session = SessionId(Uuid::from_u128(u128::from(agent.life)));
        let shown = agent.clock.read(now);
        let mut core = Core::new(shown, session, settings);
        // Results of an earlier life are sent.
        for (assignment, made) in agent.spool.values() {
            let run = Run {
                assignment: assignment.clone(),
                serial: 0,
                end: Some(End::Made(made.clone())),
            };
            agent.runs.insert(assignment.attempt, run);
            core.handle(shown, Input::Resumed(convert(assignment)));
        }
        agent.core = Some(core);
        self.trace.say(now, || format!("agent {at} starts"));
        self.drive_agent(at);
    }

    /// It dies as with `kill -9`: only what is on its disk is left.
    pub(crate) fn crash_agent(&mut self, at: usize, milliseconds: u64) {
        let agent = &mut self.agents[at];
        agent.core = None;
        agent.known.clear();
        agent.runs.clear();
        agent.calls.clear();
        agent.exchange = None;
        agent.wakes = None;
        self.trace.say(self.now, || format!("agent {at} crashes"));
        let start = self.now.plus(milliseconds * 1_000);
        self.agenda.put(start, Event::StartAgent(at));
    }

    pub(crate) fn call_id(&mut self, at: usize, purpose: Purpose) -> CallId {
        let agent = &mut self.agents[at];
        agent.number += 1;
        agent.calls.insert(agent.number, purpose);
        CallId {
            peer: crate::message::Peer::Agent(at),
            number: agent.number,
        }
    }
}

/// As the agent's core takes it.
pub(super) fn convert(assignment: &Assignment) -> grange_agent_core::Assignment {
    grange_agent_core::Assignment {
        attempt: assignment.attempt,
        derivation: assignment.derivation.name.clone(),
        builds: assignment.builds.clone(),
        limits: assignment.limits,
    }
}
