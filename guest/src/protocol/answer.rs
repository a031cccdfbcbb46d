//! What the guest answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// What follows the nonce when a guest answers a hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Welcome {
    /// The version of the protocol that both speak from here on.
    pub version: u32,
    /// The kernel's boot id: another after each boot, the same in all clones.
    pub boot_id: String,
    /// The guest's clock, in milliseconds since 1970, UTC.
    pub clock_ms: i64,
    /// The kernel's release, as of `uname -r`.
    pub kernel: String,
}

impl Welcome {
    pub(crate) fn new(version: u32, boot_id: String, clock_ms: i64, kernel: String) -> Self {
        Self {
            version,
            boot_id,
            clock_ms,
            kernel,
        }
    }
}

/// What the guest says about a request. [`Self::Started`] is progress, all others end the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answer {
    /// The program runs.
    Started {
        /// Its process id in the guest.
        pid: u32,
    },
    /// The program has ended, and all that it wrote was sent.
    Exited(Exit),
    /// It is done.
    Done,
    /// The file was sent.
    Got {
        /// Its bytes.
        size: u64,
        /// Their hash.
        sha256: Digest,
        /// Its permissions.
        mode: u32,
    },
    /// The guest listens on AF_VSOCK.
    Listening {
        /// At this port.
        port: u32,
    },
    /// It is not done, and will not be.
    Failed {
        /// Who can mend it.
        turn: Turn,
        /// What went wrong.
        reason: String,
    },
}

impl Answer {
    pub(crate) fn failed(turn: Turn, reason: impl fmt::Display) -> Self {
        let mut reason = reason.to_string();
        reason.truncate(reason.floor_char_boundary(4096));
        Self::Failed { turn, reason }
    }
}

/// How a program ended. Exhaustive: wait(2) knows no third way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// With this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// Whether it ended with status 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Who can mend what failed in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Turn {
    /// The caller: the request is wrong, and will be wrong again.
    Caller,
    /// The operator: the machine or its image lacks something, such as room, memory or a program.
    Operator,
    /// Us: a defect of Grange.
    Us,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caller => "the request has to change",
            Self::Operator => "the machine or its image has to change",
            Self::Us => "a defect of Grange",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in a frame is a format: it does not change by accident.
    #[test]
    fn answers_are_written_so() {
        let failed = Answer::failed(Turn::Operator, "no room");
        let texts = [
            (Answer::Started { pid: 9 }, r#"{"started":{"pid":9}}"#),
            (
                Answer::Exited(Exit::Signal(9)),
                r#"{"exited":{"signal":9}}"#,
            ),
            (Answer::Done, r#""done""#),
            (
                Answer::Listening { port: 1025 },
                r#"{"listening":{"port":1025}}"#,
            ),
            (
                failed,
                r#"{"failed":{"turn":"operator","reason":"no room"}}"#,
            ),
        ];
        for (answer, text) in texts {
            assert_eq!(serde_json::to_string(&answer).unwrap(), text);
            assert_eq!(serde_json::from_str::<Answer>(text).unwrap(), answer);
        }
    }
}
