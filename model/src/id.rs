//! Identifiers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// One request to build one derivation. Given by the submitter, or new; time-ordered
    /// (version 7) identifiers keep the Datastore's indexes local.
    BuildId
}
uuid_id! {
    /// One agent: a process that builds into one store.
    AgentId
}
uuid_id! {
    /// One run of one agent process. Version 7, so that the later of two sessions of the same
    /// agent is the greater: the earlier one is refused.
    SessionId
}

/// A claim of the Datastore by a coordinator. The holder of the highest term is the only writer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Term(pub u64);

/// The number of a commit. The first is 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

impl Seq {
    /// The commit after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The number of a fact in the journal. The first is 1; 0 stands for "before all of them".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct FactNumber(pub u64);

/// One try of a build by one agent.
///
/// The identifier fences every report about the try: `slot` and `generation` name the place in the
/// coordinator's memory and how often it was used; `term` tells two coordinators apart that used
/// the same place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The coordinator's term when the attempt was made.
    pub term: Term,
    /// Place in the coordinator's table of attempts.
    pub slot: u32,
    /// How often that place was used before.
    pub generation: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.term.0, self.slot, self.generation)
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AttemptId {
    type Err = ParseAttemptIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(ParseAttemptIdError);
        let term = Term(next()?.parse().map_err(|_| ParseAttemptIdError)?);
        let slot = next()?.parse().map_err(|_| ParseAttemptIdError)?;
        let generation = next()?.parse().map_err(|_| ParseAttemptIdError)?;
        if parts.next().is_some() {
            return Err(ParseAttemptIdError);
        }
        Ok(Self {
            term,
            slot,
            generation,
        })
    }
}

/// A text is no [`AttemptId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an attempt is named TERM.SLOT.GENERATION, three numbers")]
pub struct ParseAttemptIdError;
