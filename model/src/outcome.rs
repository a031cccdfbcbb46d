//! How attempts and builds end.

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AttemptId, BlobId, BuildId, BuildRecord, BuildState, Choice, Digest, Item, NarHash,
    Timestamp, Usage,
};

/// An attempt that an agent holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Which.
    pub id: AttemptId,
    /// Who tries.
    pub agent: AgentId,
    /// What is tried.
    pub derivation: Digest,
    /// The build that asked for an attempt of its own; none if all builds of the derivation share it.
    pub again: Option<BuildId>,
    /// When it was assigned.
    pub assigned_at: Timestamp,
    /// Why to this agent, and why then.
    #[serde(default)]
    pub choice: Choice,
}

/// Why a builder's run was no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The builder exited with this status.
    Exit(i32),
    /// The builder was ended by this signal.
    Signal(i32),
    /// It ran longer than it may.
    Timeout,
    /// It was silent longer than it may.
    Silence,
    /// It ended well without making this output.
    MissingOutput(String),
    /// A fixed output has another hash than it must.
    HashMismatch,
    /// An output refers to what it must not.
    ForbiddenReference,
    /// An output holds what cannot be put into a store.
    BadOutput,
    /// Something else, said in the message.
    Other,
    /// It was killed, and the machine had no memory left.
    OutOfMemory,
}

/// What kept an attempt from running the builder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SetupProblem {
    /// Inputs that the coordinator does not have, and the agent neither.
    MissingInputs(Vec<Digest>),
    /// Outputs that were there before and could not be deleted.
    OutputsInTheWay,
    /// No room in the agent's store.
    DiskFull,
    /// The agent's builder cannot build this derivation.
    Unsupported,
    /// Something else, said in the message.
    Other,
}

/// An attempt that never got to run the builder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupFailure {
    /// Who had it.
    pub agent: AgentId,
    /// Which attempt.
    pub attempt: AttemptId,
    /// What was the matter.
    pub problem: SetupProblem,
    /// The same, for people.
    pub message: String,
    /// When it was reported.
    pub at: Timestamp,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// It made every output.
    Succeeded,
    /// The builder failed.
    Failed {
        /// How.
        kind: FailureKind,
        /// The same, for people.
        message: String,
    },
    /// It never got to run the builder.
    SetupFailed(SetupFailure),
    /// Its agent was not heard of in time, and the result came from elsewhere.
    Lost,
    /// Nobody wanted its result any more.
    Dropped,
}

/// One attempt of a finished build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptSummary {
    /// Which.
    pub id: AttemptId,
    /// Who tried.
    pub agent: AgentId,
    /// When it was assigned.
    pub assigned_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Its log, as the builder wrote it.
    pub log: Option<BlobId>,
    /// What it used.
    #[serde(default)]
    pub usage: Usage,
    /// Why it was given to this agent, and why then.
    #[serde(default)]
    pub choice: Choice,
}

/// An output that an attempt made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltOutput {
    /// `out`, `lib`, …
    pub name: String,
    /// The item.
    pub item: Item,
    /// SHA-256 of its nar.
    pub nar_hash: NarHash,
    /// Bytes of its nar.
    pub nar_size: u64,
    /// Whether this is the canonical one, which is served; others are evidence of determinism.
    pub canonical: bool,
}

/// Why an output is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LostReason {
    /// Its derivation failed.
    Failed,
    /// An input of its derivation is lost.
    FailedDependency,
    /// Its build was canceled.
    Canceled,
}

/// A lost input of a build that ended as failed-dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostCause {
    /// The input that is lost.
    pub output: Digest,
    /// The derivation that should have brought it.
    pub derivation: Item,
    /// Why it did not.
    pub reason: LostReason,
    /// The build that ended so.
    pub build: BuildId,
    /// The build at the root of it: one that failed or was canceled.
    pub root: BuildId,
    /// The derivation of that build.
    pub root_derivation: Item,
}

/// A build that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedBuild {
    /// What it was.
    pub build: BuildRecord,
    /// What it builds on.
    pub system: String,
    /// How it ended.
    pub state: BuildState,
    /// When.
    pub ended_at: Timestamp,
    /// Its attempts, in the order in which they ended.
    pub attempts: Vec<AttemptSummary>,
    /// What was made, where it succeeded in an attempt.
    pub outputs: Vec<BuiltOutput>,
    /// The lost inputs, where it ended as failed-dependency.
    pub causes: Vec<LostCause>,
    /// In a few words, for people: why it ended so.
    pub reason: String,
}

/// The memory of a derivation that failed or was canceled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// What failed.
    pub derivation: Item,
    /// In which build.
    pub build: BuildId,
    /// [`LostReason::Failed`] or [`LostReason::Canceled`].
    pub reason: LostReason,
    /// How it failed, where it failed.
    pub kind: Option<FailureKind>,
    /// The same, for people.
    pub message: String,
    /// When.
    pub at: Timestamp,
    /// From when on it counts as never tried.
    pub expires_at: Timestamp,
}
