//! Hooks: what hears of everything that happens, and may ask for more.

use std::fmt;

use async_trait::async_trait;
use grange_model::{BuildId, BuildSpec, NumberedFact};

use crate::History;

/// What a hook asks for. Committed together with the hook's cursor, so exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// A build. Its `cause` is filled in by the coordinator; `id` is minted by the hook.
    Build(BuildSpec),
    /// That a build that ended as failed-dependency is tried again, if none of its inputs is lost
    /// any more.
    Reopen(BuildId),
}

/// A fact on its way to a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What happened.
    pub fact: NumberedFact,
    /// How often it was tried before; not 0 only after a failure or a restart.
    pub tries: u32,
}

/// Why a hook did not take a fact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// It may do later.
    #[error("not now: {0}")]
    Retry(String),
    /// It never will: the fact becomes a dead letter, and later facts about the same build are held
    /// back from this hook.
    #[error("never: {0}")]
    Reject(String),
}

/// What hears of everything that happens.
///
/// # Contract
///
/// Facts come in order and one at a time, each that it [wants](Hook::wants) at least once: after a crash or a failure the same
/// fact comes again, and has to be answered as before: what was asked for the first time may not have
/// been committed. What a hook hears of is written. A hook runs beside the coordinator, and can neither
/// fail, block nor slow it, nor other hooks. A fact about a build that has 16 requests of hooks behind
/// it and is answered with one more becomes a dead letter.
#[async_trait]
pub trait Hook: Send + Sync + fmt::Debug {
    /// Under which name its cursor is kept.
    fn name(&self) -> &str;

    /// Which of these facts, one after the other in the journal, it wants delivered; one answer for each. The others are not, and
    /// its cursor goes past them. Whoever has nothing to do for most facts finds that out of many at once. By default it wants all.
    ///
    /// What it answers has to hold whenever the fact would be delivered later. All that had happened before the last of these facts
    /// is in `history`.
    ///
    /// # Errors
    ///
    /// Any: then all are delivered.
    async fn wants(
        &self,
        facts: &[NumberedFact],
        _history: &dyn History,
    ) -> Result<Vec<bool>, HookError> {
        Ok(vec![true; facts.len()])
    }

    /// Takes a fact, and says what else shall be done.
    ///
    /// # Errors
    ///
    /// [`HookError::Retry`] to be given it again, later; [`HookError::Reject`] never to see it again.
    async fn deliver(
        &self,
        delivery: &Delivery,
        history: &dyn History,
    ) -> Result<Vec<Request>, HookError>;
}
