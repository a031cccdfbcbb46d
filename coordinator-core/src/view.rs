//! Looking at what is unfinished. Observations acknowledge nothing and never wait; they may show what
//! is decided but not durable yet.

use std::ops::Bound;

use grange_model::{
    AgentId, AgentRecord, AttemptRecord, AttemptSummary, BuildId, BuildRecord, BuildState, Digest,
    Resources, Timestamp,
};

use crate::io::{AttemptPhase, Capacity, Health};
use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::{Agent, Build};

/// An unfinished build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildStatus {
    /// What was asked for.
    pub record: BuildRecord,
    /// Where it stands.
    pub state: BuildState,
    /// What it builds on.
    pub system: String,
    /// The directory that its derivation belongs in.
    pub store: String,
    /// The highest of its own priority and those of the builds that need it.
    pub derived_priority: i32,
    /// Attempts under way.
    pub attempts: Vec<AttemptStatus>,
    /// Attempts that did not end it, since the coordinator started.
    pub past: Vec<AttemptSummary>,
}

/// An attempt that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptStatus {
    /// What was assigned.
    pub record: AttemptRecord,
    /// How far it is.
    pub phase: AttemptPhase,
    /// Its agent was not heard of in time: others may try.
    pub expired: bool,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentStatus {
    /// As it is kept.
    pub record: AgentRecord,
    /// What it said last that it can take.
    pub capacity: Capacity,
    /// Whether it was heard of within its lease.
    pub present: bool,
    /// How its machine does.
    pub health: Health,
    /// What its attempts use up.
    pub used: Resources,
    /// Why it wants nothing new just now, in words.
    pub pressure: Vec<String>,
    /// When it was last heard of.
    pub seen_at: Option<Timestamp>,
    /// What it holds.
    pub attempts: Vec<AttemptStatus>,
}

/// How many unfinished builds there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// An input is expected.
    pub blocked: u64,
    /// An agent may take them.
    pub ready: u64,
    /// An agent tries them.
    pub running: u64,
}

impl Core {
    /// Whether an unfinished build may bring the output.
    #[must_use]
    pub fn is_expected(&self, output: Digest) -> bool {
        let node = self.find_output(output);
        node.is_some_and(|ix| self.outputs[ix].is_expected())
    }

    /// An unfinished build.
    #[must_use]
    pub fn build(&self, id: BuildId) -> Option<BuildStatus> {
        self.names.builds.get(&id).map(|ix| self.build_status(*ix))
    }

    /// Unfinished builds behind `after`, in the order of their ids.
    pub fn builds(&self, after: Option<BuildId>) -> impl Iterator<Item = BuildStatus> + '_ {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.names
            .builds
            .range((from, Bound::Unbounded))
            .map(|(_, ix)| self.build_status(*ix))
    }

    /// Attempts of unfinished builds that did not end them, since the coordinator started.
    pub fn past_attempts(&self) -> impl Iterator<Item = grange_model::AttemptId> + '_ {
        let past = self.tasks.iter().flat_map(|(_, task)| task.past());
        past.map(|attempt| attempt.id)
    }

    /// The derivation of an attempt that is under way, if it is this agent's.
    #[must_use]
    pub fn attempt(&self, agent: AgentId, id: grange_model::AttemptId) -> Option<AttemptRecord> {
        let ix = self.find_attempt(agent, id).ok()?;
        Some(self.attempts[ix].record.clone())
    }

    /// An agent.
    #[must_use]
    pub fn agent(&self, id: AgentId) -> Option<AgentStatus> {
        self.names.agents.get(&id).map(|ix| self.agent_status(*ix))
    }

    /// All agents, in the order of their ids.
    pub fn agents(&self) -> impl Iterator<Item = AgentStatus> + '_ {
        self.names.agents.values().map(|ix| self.agent_status(*ix))
    }

    /// How many unfinished builds there are in each state.
    #[must_use]
    pub fn counts(&self) -> StateCounts {
        self.counts
    }

    /// Whether an unfinished build is of this derivation.
    #[must_use]
    pub fn is_unfinished(&self, derivation: Digest) -> bool {
        self.find_derivation(derivation).is_some()
    }

    fn build_status(&self, ix: Ix<Build>) -> BuildStatus {
        let build = &self.builds[ix];
        let task = &self.tasks[build.task];
        let derivation = &self.derivations[task.derivation];
        let derived = self.derived(task.derivation).max(build.priority);
        BuildStatus {
            record: self.record(ix),
            state: self.state_of(build.task),
            system: derivation.kind.system.clone(),
            store: derivation.kind.store.clone(),
            derived_priority: derived,
            attempts: task
                .attempts()
                .iter()
                .map(|ix| self.attempt_status(*ix))
                .collect(),
            past: task.past().to_vec(),
        }
    }

    fn attempt_status(&self, ix: Ix<crate::tables::Attempt>) -> AttemptStatus {
        let attempt = &self.attempts[ix];
        AttemptStatus {
            record: attempt.record.clone(),
            phase: attempt.phase,
            expired: attempt.expired,
        }
    }

    fn agent_status(&self, ix: Ix<Agent>) -> AgentStatus {
        let agent = &self.agents[ix];
        AgentStatus {
            record: agent.record.clone(),
            capacity: agent.capacity.clone(),
            present: agent.is_present(),
            health: agent.health,
            used: agent.used.clone(),
            pressure: agent.pressure(),
            seen_at: agent.seen_at,
            attempts: agent
                .attempts
                .iter()
                .map(|ix| self.attempt_status(*ix))
                .collect(),
        }
    }
}
