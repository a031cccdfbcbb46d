//! Whose turn it is when something does not go.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// The caller: the request itself is wrong, and will be wrong again.
    Caller,
    /// The caller is not who may ask this.
    Forbidden,
    /// What the request is about is not there (any more).
    NotFound,
    /// The request was right once, but something else has happened since: look again.
    Conflict,
    /// Whoever runs this: configuration, a full disk, a missing permission.
    Operator,
    /// A third party: an upstream server, an agent.
    Peer,
    /// Nobody: the same request will do later.
    Busy,
    /// Us: a defect of Grange.
    Us,
}

impl Fault {
    /// Whose turn it is, in words.
    #[must_use]
    pub fn turn(self) -> &'static str {
        match self {
            Self::Caller => "the request has to change",
            Self::Forbidden => "other credentials are needed",
            Self::NotFound => "the request names what is not there",
            Self::Conflict => "something else has happened meanwhile",
            Self::Operator => "the operator has to act",
            Self::Peer => "the other side has to act",
            Self::Busy => "the same request will do later",
            Self::Us => "this is a defect of Grange",
        }
    }
}

/// An answer that says no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Refusal {
    /// Whose turn it is.
    pub fault: Fault,
    /// What was wrong; lower-case, without a full stop.
    pub message: String,
    /// When to ask again, where that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self {
            fault,
            message: message.into(),
            retry_after_ms: None,
        }
    }

    /// [`Fault::Busy`], to be asked again after `wait`.
    #[must_use]
    pub fn busy(message: impl Into<String>, wait: Duration) -> Self {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self {
            fault: Fault::Busy,
            message: message.into(),
            retry_after_ms: Some(wait),
        }
    }

    /// Whether the same request may do later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.fault == Fault::Busy
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.fault.turn())
    }
}
