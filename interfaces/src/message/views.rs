//! What clients are shown.

use std::collections::BTreeMap;

use grange_model::{AgentId, AttemptId, BuildId, BuildState, Resources, Tags, Usage};
use serde::{Deserialize, Serialize};

use super::{Health, HeldAttempt, PredictionView};

/// An item that is available.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemView {
    /// Which.
    pub path: String,
    /// SHA-256 of its nar.
    pub nar_hash: String,
    /// Bytes of its nar.
    pub nar_size: u64,
    /// Paths that it refers to.
    pub references: Vec<String>,
    /// What it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deriver: Option<String>,
    /// Bytes of the nar as it is sent, compressed with zstd.
    pub file_size: u64,
    /// SHA-256 of that.
    pub file_hash: String,
    /// It does not lie here: an upstream substitute server has it, and who fetches it here has it fetched there. How
    /// many bytes it has compressed is then not known, and size and hash are those of the nar itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upstream: bool,
}

/// A build in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSummary {
    /// Which.
    pub id: BuildId,
    /// The derivation's path.
    pub derivation: String,
    /// Where it stands.
    pub state: BuildState,
    /// What it builds on.
    pub system: String,
    /// What the submitter said.
    pub priority: i32,
    /// Labels.
    pub tags: Tags,
    /// Made by the coordinator for an input.
    pub implicit: bool,
    /// When it was submitted, in milliseconds since 1970.
    pub submitted_at_ms: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
}

/// All about one build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildView {
    /// What a list says of it.
    #[serde(rename = "build")]
    pub summary: BuildSummary,
    /// What it takes from those that need it.
    pub derived_priority: i32,
    /// What the agent must offer.
    pub requires: Tags,
    /// What it uses up while it runs, as far as its submitter said.
    #[serde(default)]
    pub resources: Resources,
    /// What it will take, while it is unfinished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<PredictionView>,
    /// How long it may run, in milliseconds.
    pub timeout_ms: u64,
    /// How long it may be silent, in milliseconds.
    pub max_silent_ms: u64,
    /// Why it stands where it stands, a sentence each: the first says most.
    pub reasons: Vec<String>,
    /// What would get it going, a sentence each.
    #[serde(default)]
    pub remedies: Vec<String>,
    /// Expected inputs that it waits for, at most 20.
    pub waits_for: Vec<String>,
    /// What it waits for, directly or not, and that waits for nothing else, at most 20.
    #[serde(default)]
    pub roots: Vec<RootView>,
    /// Its attempts: past ones, then those that run.
    pub attempts: Vec<AttemptView>,
    /// Setup failures since its last attempt that was none.
    pub setup_failures: Vec<SetupFailureView>,
    /// Lost inputs, where it ended as failed-dependency.
    pub causes: Vec<CauseView>,
    /// Its outputs.
    pub outputs: Vec<OutputView>,
}

/// Of how many builds one message asks when they will have ended.
pub const MAX_ETAS: u32 = 100;

/// When a build will have ended: as far as can be told, none of this binds anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtaView {
    /// Which.
    pub build: BuildId,
    /// The derivation's path; none if the build is not among the unfinished ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derivation: Option<String>,
    /// Where it stands; none if it is not among the unfinished ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<BuildState>,
    /// Milliseconds from now: by then it has ended as likely as not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u64>,
    /// Milliseconds from now: by then it has ended in nine cases of ten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90_ms: Option<u64>,
    /// What keeps it from ever ending, or makes this uncertain, in words; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What others wait for, and that waits for no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootView {
    /// The derivation's path.
    pub derivation: String,
    /// The first build of it.
    pub build: BuildId,
    /// Where it stands.
    pub state: BuildState,
    /// Why it does not go on; empty if it only waits for its turn, or runs.
    pub problems: Vec<String>,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Which.
    pub id: AttemptId,
    /// Who tries.
    pub agent: AgentId,
    /// When it was assigned, in milliseconds since 1970.
    pub assigned_at_ms: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
    /// `preparing`, `building`, `uploading`, `expired`; `succeeded`, `failed`, `setup-failed`,
    /// `lost`, `dropped`.
    pub state: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whether there is a log.
    pub has_log: bool,
    /// What it used.
    #[serde(default)]
    pub usage: Usage,
    /// Why this agent got it, and why then; a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub choice: String,
}

/// A setup failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupFailureView {
    /// Who had it.
    pub agent: AgentId,
    /// For people.
    pub message: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// A lost input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseView {
    /// The derivation that should have brought it.
    pub derivation: String,
    /// The build that should have.
    pub build: BuildId,
    /// `failed`, `failed-dependency`, `canceled`.
    pub reason: String,
    /// The derivation at the root of it.
    pub root_derivation: String,
    /// The build at the root of it.
    pub root: BuildId,
}

/// An output of a build's derivation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputView {
    /// `out`, `lib`, …
    pub name: String,
    /// Its path.
    pub path: String,
    /// Whether it can be fetched.
    pub available: bool,
    /// SHA-256 of the nar that this build made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nar_hash: Option<String>,
    /// Whether this build's nar is the one that is served; none if it made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canonical: Option<bool>,
}

/// How many builds there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In each state, by its word.
    pub builds: BTreeMap<String, u64>,
    /// Agents that were heard of within their lease.
    pub agents_present: u64,
    /// Agents in all.
    pub agents: u64,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentView {
    /// Which.
    pub id: AgentId,
    /// For people.
    pub name: String,
    /// Gets no new builds.
    pub paused: bool,
    /// Heard of within its lease.
    pub present: bool,
    /// What the operator says that it offers.
    pub operator_tags: Tags,
    /// What it says itself that it offers.
    pub tags: Tags,
    /// Keys of these that are exclusive.
    pub exclusive: Vec<String>,
    /// Systems that it builds for.
    pub systems: Vec<String>,
    /// How many builds it runs at once.
    pub parallel: u32,
    /// Its load in hundredths.
    pub load: u32,
    /// How its machine does beside that.
    #[serde(default)]
    pub health: Health,
    /// How much it has of what builds use up.
    #[serde(default)]
    pub resources: Resources,
    /// How much of that its attempts use up.
    #[serde(default)]
    pub used: Resources,
    /// Why it wants nothing new just now, a sentence each.
    #[serde(default)]
    pub pressure: Vec<String>,
    /// What it holds.
    pub attempts: Vec<HeldAttempt>,
    /// When it was last heard of, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at_ms: Option<u64>,
    /// How many passwords it has.
    pub passwords: u32,
}
