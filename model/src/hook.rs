//! How far a hook has come.

use serde::{Deserialize, Serialize};

use crate::{BuildId, FactNumber, Timestamp};

/// A fact that a hook would not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Which fact.
    pub fact: FactNumber,
    /// The build that it is about; later facts about it are held back from the hook.
    pub build: Option<BuildId>,
    /// What the hook said.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// A hook's cursor in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRecord {
    /// Which hook.
    pub name: String,
    /// The last fact that it is done with.
    pub cursor: FactNumber,
    /// What it would not take; at most 1,000, the oldest are forgotten.
    pub dead_letters: Vec<DeadLetter>,
}
