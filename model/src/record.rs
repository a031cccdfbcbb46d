//! Records and the keys that they are kept under.

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AgentRecord, AttemptRecord, BuildId, BuildRecord, DerivationRecord, Digest,
    FailureRecord, FinishedBuild, HistoryRecord, HookRecord, ItemRecord, UpstreamRecord,
};

/// The last word about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Record {
    /// An agent. Live.
    Agent(AgentRecord),
    /// An unfinished build. Live.
    Build(BuildRecord),
    /// An attempt that an agent holds. Live.
    Attempt(AttemptRecord),
    /// How far a hook has come. Live.
    Hook(HookRecord),
    /// A derivation as a node of the graph. Live while an unfinished build is of it.
    Derivation(DerivationRecord),
    /// The text of a derivation.
    DerivationText {
        /// Which.
        derivation: Digest,
        /// The whole file.
        text: Vec<u8>,
    },
    /// An item that is available.
    Item(ItemRecord),
    /// A remembered failure.
    Failure(FailureRecord),
    /// A build that has ended.
    Finished(FinishedBuild),
    /// An item that is available upstream. The same item may be available here as well.
    Upstream(UpstreamRecord),
    /// What builds of a package have taken so far. Live.
    History(HistoryRecord),
}

/// What a record is kept under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Key {
    /// [`Record::Agent`].
    Agent(AgentId),
    /// [`Record::Build`], by its row.
    Build(u32),
    /// [`Record::Attempt`], by its place.
    Attempt(u32),
    /// [`Record::Hook`].
    Hook(String),
    /// [`Record::Derivation`].
    Derivation(Digest),
    /// [`Record::DerivationText`].
    DerivationText(Digest),
    /// [`Record::Item`].
    Item(Digest),
    /// [`Record::Failure`], by derivation.
    Failure(Digest),
    /// [`Record::Finished`].
    Finished(BuildId),
    /// [`Record::Upstream`].
    Upstream(Digest),
    /// [`Record::History`].
    History {
        /// The name of the derivation without its version.
        package: String,
        /// What was built for.
        system: String,
    },
}

impl Record {
    /// What it is kept under.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Agent(agent) => Key::Agent(agent.id),
            Self::Build(build) => Key::Build(build.slot),
            Self::Attempt(attempt) => Key::Attempt(attempt.id.slot),
            Self::Hook(hook) => Key::Hook(hook.name.clone()),
            Self::Derivation(derivation) => Key::Derivation(derivation.item.digest),
            Self::DerivationText { derivation, .. } => Key::DerivationText(*derivation),
            Self::Item(item) => Key::Item(item.item.digest),
            Self::Failure(failure) => Key::Failure(failure.derivation.digest),
            Self::Finished(finished) => Key::Finished(finished.build.spec.id),
            Self::Upstream(item) => Key::Upstream(item.item.digest),
            Self::History(history) => Key::History {
                package: history.package.clone(),
                system: history.system.clone(),
            },
        }
    }
}
