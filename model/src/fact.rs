//! Facts: what happened, in the order in which it was decided.

use serde::{Deserialize, Serialize};

use crate::{AgentId, AttemptId, BuildId, BuildState, Digest, FactNumber, SetupFailure, Timestamp};

/// Something that happened. Numbered in one journal, and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fact {
    /// A build was accepted.
    Submitted {
        /// Which.
        build: BuildId,
        /// Of what.
        derivation: Digest,
        /// Made by the coordinator for an input.
        implicit: bool,
    },
    /// An attempt was assigned; all the builds that it may end run now.
    Started {
        /// Which attempt.
        attempt: AttemptId,
        /// Of what.
        derivation: Digest,
        /// Who tries.
        agent: AgentId,
        /// The builds that it may end.
        builds: Vec<BuildId>,
    },
    /// An attempt never got to run the builder.
    SetupFailed {
        /// The build that it would have ended (the first, if several share it).
        build: BuildId,
        /// Of what.
        derivation: Digest,
        /// Who had it and what it was.
        failure: SetupFailure,
    },
    /// The lease of an attempt ran out: others may try.
    Expired {
        /// Which attempt.
        attempt: AttemptId,
        /// Of what.
        derivation: Digest,
        /// Who was not heard of.
        agent: AgentId,
    },
    /// A build ended.
    Ended {
        /// Which.
        build: BuildId,
        /// Of what.
        derivation: Digest,
        /// How.
        state: BuildState,
    },
    /// A build that had ended as failed-dependency is unfinished again.
    Reopened {
        /// Which.
        build: BuildId,
        /// Of what.
        derivation: Digest,
    },
    /// An output can be fetched from now on.
    Available {
        /// Which.
        output: Digest,
    },
    /// An output will not come.
    Lost {
        /// Which.
        output: Digest,
    },
    /// An agent was made, changed or deleted by the operator.
    AgentChanged {
        /// Which.
        agent: AgentId,
    },
    /// An output that was available was deleted by the operator: who needs it has it built again.
    Pruned {
        /// Which.
        output: Digest,
    },
    /// An output that was available upstream cannot be had there any more: who needs it has it built.
    GoneUpstream {
        /// Which.
        output: Digest,
    },
    /// An attempt was killed because memory ran out; the build is tried again where there is more.
    OutOfMemory {
        /// Which attempt.
        attempt: AttemptId,
        /// Of what.
        derivation: Digest,
        /// Who tried.
        agent: AgentId,
        /// How much memory it is given next, in bytes.
        memory: u64,
    },
    /// An attempt was dropped so that something urgent could begin; its build waits for another.
    Preempted {
        /// Which attempt.
        attempt: AttemptId,
        /// Of what.
        derivation: Digest,
        /// Who tried.
        agent: AgentId,
    },
}

impl Fact {
    /// The build that it is about, where it is about one.
    #[must_use]
    pub fn build(&self) -> Option<BuildId> {
        match self {
            Self::Submitted { build, .. }
            | Self::SetupFailed { build, .. }
            | Self::Ended { build, .. }
            | Self::Reopened { build, .. } => Some(*build),
            _ => None,
        }
    }
}

/// A fact with its place in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberedFact {
    /// Its place.
    pub number: FactNumber,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub fact: Fact,
}
