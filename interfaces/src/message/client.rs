//! What clients ask for.

use grange_model::{BuildId, BuildState, Resources, Tags};
use serde::{Deserialize, Serialize};

use crate::Refusal;

/// One build to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRequest {
    /// Its name, minted by the caller: the same request sent twice is one build.
    pub id: BuildId,
    /// The derivation's path.
    pub derivation: String,
    /// The higher, the sooner.
    #[serde(default)]
    pub priority: i32,
    /// Labels.
    #[serde(default)]
    pub tags: Tags,
    /// What the agent must offer.
    #[serde(default)]
    pub requires: Tags,
    /// What it uses up while it runs: `cores`, `memory` and `disk` in bytes, tokens of any name. What is not said is predicted.
    #[serde(default)]
    pub resources: Resources,
    /// How long the builder may run, in milliseconds; none for the coordinator's default.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// How long it may be silent, in milliseconds; none for the coordinator's default.
    #[serde(default)]
    pub max_silent_ms: Option<u64>,
    /// Build even what is available, or failed before.
    #[serde(default)]
    pub again: bool,
    /// Make no builds for inputs that nobody has tried.
    #[serde(default)]
    pub no_inputs: bool,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Submission {
    /// It is durable.
    Accepted {
        /// Where the build stands now.
        state: BuildState,
        /// What the submitter should know: nobody offers what it requires, …
        warnings: Vec<String>,
    },
    /// Nothing was changed.
    Refused(Refusal),
}

/// Which builds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildFilter {
    /// Only those in this state.
    #[serde(default)]
    pub state: Option<BuildState>,
    /// Only those with all of these tags.
    #[serde(default)]
    pub tags: Tags,
    /// Only those for this system.
    #[serde(default)]
    pub system: Option<String>,
}

/// An item that a client sends: a source of a derivation.
///
/// Its path must follow from its content and its references; the coordinator computes it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemUpload {
    /// Which.
    pub path: String,
    /// Bytes of its nar.
    pub nar_size: u64,
    /// Paths that it refers to.
    #[serde(default)]
    pub references: Vec<String>,
}
