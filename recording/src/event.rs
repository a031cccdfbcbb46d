//! What happened.

use grange_model::{AgentId, AttemptOutcome, BuildId, BuildState, FactNumber, Tags, Timestamp};
use serde::{Deserialize, Serialize};

use crate::names::{AttemptName, DerivationName};

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Nothing that belongs into a recording happened up to here.
    Mark,
    /// A build was accepted.
    Submitted(Box<Submitted>),
    /// A build ended.
    Ended(Ended),
    /// What an agent offers.
    Agent(Agent),
    /// Facts are missing.
    Gap(Gap),
}

/// A build that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Which.
    pub build: BuildId,
    /// Of what.
    pub derivation: Derivation,
    /// Made by the coordinator for an input.
    #[serde(default)]
    pub implicit: bool,
    /// The higher, the sooner.
    #[serde(default)]
    pub priority: i32,
    /// Labels, such as who asked for it.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// What the agent must offer.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub requires: Tags,
}

/// A derivation as a node of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derivation {
    /// Which.
    pub id: DerivationName,
    /// What follows in its store name, without `.drv`.
    pub name: String,
    /// What it builds on.
    pub system: String,
    /// The names of its outputs.
    pub outputs: Vec<String>,
    /// The derivations that make what it needs. One that nobody asked for was there already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<DerivationName>,
}

/// A build that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Which.
    pub build: BuildId,
    /// How.
    pub state: BuildState,
    /// Its attempts that ended. Builds of one derivation may share one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

/// An attempt that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which.
    pub id: AttemptName,
    /// Who tried.
    pub agent: AgentId,
    /// When it was assigned: before its inputs were fetched, and while others ran there perhaps.
    pub assigned: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How.
    pub how: Ending,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ending {
    /// It made every output.
    Succeeded,
    /// The builder failed.
    Failed,
    /// It never got to run the builder.
    SetupFailed,
    /// Its agent was not heard of in time.
    Lost,
    /// Nobody wanted its result any more, or something that a recording has no word for.
    Dropped,
}

/// What an agent offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Which.
    pub id: AgentId,
    /// What people call it.
    pub name: String,
    /// Systems that it builds for.
    pub systems: Vec<String>,
    /// What it offers, by itself and by what the operator says.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// How many builds it runs at once.
    pub parallel: u32,
    /// How many more it takes beforehand.
    #[serde(default)]
    pub ahead: u32,
}

/// Facts that are missing: those behind `after`, up to that of the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last fact before it. If it is beyond that of the line, the journal is another than it was.
    pub after: FactNumber,
}

impl From<&AttemptOutcome> for Ending {
    fn from(outcome: &AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Succeeded => Self::Succeeded,
            AttemptOutcome::Failed { .. } => Self::Failed,
            AttemptOutcome::SetupFailed(_) => Self::SetupFailed,
            AttemptOutcome::Lost => Self::Lost,
            _ => Self::Dropped,
        }
    }
}
