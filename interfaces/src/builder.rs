//! What builds.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use grange_derivation::{Derivation, StorePath};
use grange_model::{FailureKind, Limits, NarHash, SetupProblem};

use crate::{Log, Stop};

/// What a builder can build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// Such as `x86_64-linux`, `builtin`.
    pub systems: Vec<String>,
    /// Values of `requiredSystemFeatures`, such as `kvm`.
    pub features: Vec<String>,
    /// How many builds may run at once; none if it does not matter to the builder.
    pub max_parallel_builds: Option<u32>,
    /// Whether all that a derivation refers to, directly or not, has to be valid in the store before
    /// it is built: derivations and sources. Sandboxes need none of that but the build's inputs.
    pub derivations: bool,
}

/// One build to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The derivation's own path.
    pub path: StorePath,
    /// What it says.
    pub derivation: Arc<Derivation>,
    /// Its text, from which its path was computed.
    pub text: Arc<[u8]>,
    /// Every item that the build may see, references before those that refer to them. All of them
    /// are valid in the builder's store.
    pub inputs: Vec<StorePath>,
    /// How long it may take.
    pub limits: Limits,
    /// What `NIX_BUILD_CORES` shall say; 0 stands for "all".
    pub cores: u32,
}

/// An output that was made and is valid in the builder's store now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeOutput {
    /// `out`, `lib`, …
    pub name: String,
    /// Where it lies.
    pub path: StorePath,
    /// SHA-256 of its nar.
    pub nar_hash: NarHash,
    /// Bytes of its nar.
    pub nar_size: u64,
    /// What it refers to, itself included where it does; sorted.
    pub references: Vec<StorePath>,
}

/// A build that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Every output of the derivation.
    pub outputs: Vec<MadeOutput>,
    /// The most memory that it had at once, in bytes, if the builder knows.
    pub peak_memory: Option<u64>,
}

/// A build that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The builder ran and failed, or what it made is not acceptable.
    #[error("{message}")]
    Failed {
        /// How.
        kind: FailureKind,
        /// The same, for people.
        message: String,
    },
    /// The builder was never run.
    #[error("{message}")]
    Setup {
        /// What was the matter.
        problem: SetupProblem,
        /// The same, for people.
        message: String,
    },
    /// It was told to stop.
    #[error("the build was told to stop")]
    Stopped,
}

/// What builds.
///
/// # Contract
///
/// * Builds exactly this derivation and nothing else, without substitutes.
/// * Every input is valid and no output exists when it is called; a builder that finds otherwise
///   says so as [`BuildError::Setup`].
/// * When it returns by itself, no process of the build is left, on whichever way it ended. When it
///   is told to stop or its future is dropped, whoever runs the build has been told so, and nothing of
///   it is left soon after: a daemon does not say when it has killed a build that nobody waits for.
/// * Outputs are canonical (owner, modes, times), complete, and their hash and references are
///   computed from what lies in the store.
/// * Calls run at once, as many as the agent was told to.
#[async_trait]
pub trait Builder: Send + Sync + fmt::Debug {
    /// What it can build. Asked once, when the agent starts.
    fn offers(&self) -> Offers;

    /// Builds.
    ///
    /// # Errors
    ///
    /// Any [`BuildError`]; `Stopped` only if `stop` said so.
    async fn build(&self, job: &Job, log: Log, stop: Stop) -> Result<Built, BuildError>;
}
