//! Agents as the coordinator keeps them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AgentId, Tags, Timestamp};

/// SHA-256 of a password. Passwords are 256 random bits, so that no slow hash is needed.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(pub [u8; 32]);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// An agent that may connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Which.
    pub id: AgentId,
    /// For people.
    pub name: String,
    /// What the operator says that it offers, besides what it says itself.
    pub tags: Tags,
    /// Any of these lets it in.
    pub passwords: Vec<PasswordHash>,
    /// Gets no new builds.
    pub paused: bool,
    /// When it was made.
    pub created_at: Timestamp,
}
