//! Looking at what is unfinished. Observations acknowledge nothing and never wait; they may show what
//! is decided but not durable yet.

use std::ops::Bound;

use grange_model::{
    AgentId, AgentRecord, AttemptRecord, AttemptSummary, BuildId, BuildRecord, BuildState, Digest,
    Item, Timestamp,
};

use crate::io::{AttemptPhase, Capacity};
use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::{Agent, Build, TaskState};

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

/// Why a build stands where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It is not among the unfinished ones.
    NotUnfinished,
    /// These derivations must bring an input first: how many, and up to 20 of them.
    Blocked {
        /// How many inputs are expected.
        inputs: u32,
        /// Derivations that are to bring them.
        waits_for: Vec<Item>,
    },
    /// Agents that could take it are there, but have no room.
    AgentsBusy {
        /// How many.
        fitting: usize,
        /// How many of these are paused.
        paused: usize,
    },
    /// No agent that is present could take it.
    NobodyOffers {
        /// What is missing, in words.
        missing: Vec<String>,
    },
    /// Every agent that could take it had a setup failure.
    BackedOff {
        /// When it is tried again.
        until: Timestamp,
    },
    /// It is under way.
    Running,
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
    /// Its load in hundredths.
    pub load: u32,
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
        let node = self.names.outputs.get(&output);
        node.is_some_and(|ix| self.outputs[*ix].is_expected())
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

    /// Why a build stands where it stands.
    #[must_use]
    pub fn why(&self, id: BuildId) -> Why {
        let Some(&ix) = self.names.builds.get(&id) else {
            return Why::NotUnfinished;
        };
        let build = &self.builds[ix];
        let task = &self.tasks[build.task];
        let derivation = &self.derivations[task.derivation];
        match task.state {
            TaskState::Blocked => {
                let expected = derivation
                    .inputs
                    .iter()
                    .filter(|input| self.outputs[**input].is_expected());
                let producers = expected.filter_map(|input| self.outputs[*input].producers.first());
                let mut waits_for: Vec<_> = producers
                    .map(|ix| self.derivations[*ix].item.clone())
                    .collect();
                waits_for.sort();
                waits_for.dedup();
                waits_for.truncate(20);
                Why::Blocked {
                    inputs: self.derivations.hot(task.derivation).expected,
                    waits_for,
                }
            }
            TaskState::Running => Why::Running,
            TaskState::BackedOff(until) => Why::BackedOff { until },
            TaskState::Ready => {
                let class = &self.classes.table[build.class];
                let fitting = self
                    .agents
                    .iter()
                    .filter(|(_, agent)| agent.is_present() && class.fits(agent));
                let paused = fitting
                    .clone()
                    .filter(|(_, agent)| agent.record.paused)
                    .count();
                match fitting.count() {
                    0 => Why::NobodyOffers {
                        missing: self.warnings(&class.system, &[], &class.requires),
                    },
                    fitting => Why::AgentsBusy { fitting, paused },
                }
            }
        }
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
        self.names.derivations.contains_key(&derivation)
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
                .attempts
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
            load: agent.load,
            seen_at: agent.seen_at,
            attempts: agent
                .attempts
                .iter()
                .map(|ix| self.attempt_status(*ix))
                .collect(),
        }
    }
}
