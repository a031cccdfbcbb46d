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
///
/// # Contract of transports
///
/// What lies between two endpoints, a network or a pipe, promises more:
///
/// * Message, answer and refusal arrive as they were given, and so do bodies, byte for byte: one
///   where there is one, none where there is none.
/// * Who calls arrives as it was said, but for [`Peer::Local`], which arrives as [`Peer::Anonymous`]
///   unless only this process or a trusted door leads there.
/// * Bodies stream: who sends waits for who reads, and at most some megabytes are on their way. An
///   answer may come before the body of the message was read.
/// * A body that breaks off is an error at the other end, and never looks complete.
/// * The other end is told when a call or the body of an answer is dropped, and drops what it did.
/// * Calls run at once, and are not mixed.
/// * Who serves stops when it is told to: it finishes what runs, and refuses as
///   [`crate::Fault::Busy`] what waits for something to happen and what comes later.
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
