//! What coordinator, agents and clients say to each other.

use std::fmt;

use async_trait::async_trait;
use grange_model::AgentId;

use crate::message::{Answer, Message};
use crate::{Body, Refusal};

/// A password or token. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who calls, as it says itself. The coordinator verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Nobody in particular.
    Anonymous,
    /// An agent.
    Agent {
        /// Which.
        id: AgentId,
        /// Its password.
        password: Secret,
    },
    /// An operator or client with an admin token.
    Token(Secret),
    /// Whoever may open the coordinator's own Unix socket, or is in its process. Transports say so
    /// of nobody else.
    Local,
}

/// Both sides of the protocol: the coordinator is one, and what a transport's `connect` returns
/// is one.
///
/// # Contract
///
/// A call may be lost before or after it had its effect: every message can be sent again. Dropping
/// the future gives up waiting, and says nothing about the effect. The body of an answer may be
/// dropped at any time.
#[async_trait]
pub trait Endpoint: Send + Sync + fmt::Debug {
    /// Says something, and returns the answer.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], also for what happened on the way: [`crate::Fault::Busy`] if the other side
    /// was not reached or the connection broke.
    async fn call(
        &self,
        peer: &Peer,
        message: Message,
        body: Option<Body>,
    ) -> Result<(Answer, Option<Body>), Refusal>;
}
