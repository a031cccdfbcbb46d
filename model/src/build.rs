//! Builds: what was asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{BuildId, Digest, Item, Resources, SetupFailure, Timestamp};

/// Keys and values on builds (labels, or what they require) and on agents (what they offer).
pub type Tags = BTreeMap<String, String>;

/// How long a build may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Limits {
    /// Milliseconds that the builder may run.
    pub timeout_ms: u64,
    /// Milliseconds that the builder may run without a word in its log.
    pub max_silent_ms: u64,
}

/// Why a build exists that no person asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause {
    /// The hook that asked for it.
    pub hook: String,
    /// How many hooks stand between a person's request and this one; at most 16.
    pub depth: u8,
}

/// What a submitter says of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSpec {
    /// Its name, minted by the submitter.
    pub id: BuildId,
    /// What to build.
    pub derivation: Digest,
    /// The higher, the sooner.
    pub priority: i32,
    /// Labels.
    pub tags: Tags,
    /// What the agent must offer.
    pub requires: Tags,
    /// How long it may take.
    pub limits: Limits,
    /// Build it even if its outputs are available or its failure is remembered.
    pub again: bool,
    /// Make builds for inputs that nobody has tried.
    pub inputs: bool,
    /// The hook behind it, if there is one.
    pub cause: Option<Cause>,
    /// What it uses up while it runs. What is not said is predicted.
    #[serde(default)]
    pub resources: Resources,
}

/// An unfinished build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// Its row among the unfinished builds; used again once it has ended.
    pub slot: u32,
    /// What was asked for.
    pub spec: BuildSpec,
    /// The derivation's full name.
    pub derivation: Item,
    /// Made by the coordinator for an input that nobody had tried; ends with the last build that
    /// wants it.
    pub implicit: bool,
    /// Asked for `again` when every output was available: nobody waits for its outputs.
    pub rebuild: bool,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// The last setup failure of each agent that had one.
    pub setup_failures: Vec<SetupFailure>,
}

/// Where a build stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildState {
    /// An input is expected.
    Blocked,
    /// An agent may take it.
    Ready,
    /// An agent tries it.
    Running,
    /// Every output is durable, verified and can be fetched.
    Succeeded,
    /// It was tried and failed.
    Failed,
    /// An input is lost.
    FailedDependency,
    /// Somebody did not want it any more.
    Canceled,
}

impl BuildState {
    /// All of them, in the order in which a build meets them.
    pub const ALL: [Self; 7] = [
        Self::Blocked,
        Self::Ready,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::FailedDependency,
        Self::Canceled,
    ];

    /// The word for it, as in `failed-dependency`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::FailedDependency => "failed-dependency",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nothing more will happen to it, unless it is reopened.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Blocked | Self::Ready | Self::Running)
    }
}
