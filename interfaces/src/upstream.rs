//! Substitute servers of others.

use std::fmt;

use async_trait::async_trait;
use grange_derivation::StorePath;

use crate::{Body, ItemInfo};

/// Why an upstream did not say, or not give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// A server was not reached, stalled, or said that it cannot now. Another time it may.
    #[error("{server} does not answer: {why}")]
    Unavailable {
        /// Its address.
        server: String,
        /// What happened.
        why: String,
    },
    /// A server said what is not so.
    #[error("{server} is not to be believed: {what}")]
    Lied {
        /// Its address.
        server: String,
        /// What it said.
        what: String,
    },
    /// No server has the item (any more).
    #[error("no substitute server has {0}")]
    Gone(StorePath),
}

/// Servers of substitutes that others publish: where an item comes from that nobody here has built.
///
/// # Contract
///
/// * Only what a trusted key has signed exists. What somebody else signed, and what is signed but is not about the
///   path that was asked for, counts as not there.
/// * Whoever asks gets an answer: each call has an end in time, and what comes back is bounded, whatever servers do.
/// * That an item is not there is not believed for long: a server that has just built it will have it.
#[async_trait]
pub trait Upstream: Send + Sync + fmt::Debug {
    /// What is known of these items, in the order asked; none if no server has it.
    ///
    /// # Errors
    ///
    /// For an item that no server has said to have, while one could not be asked.
    async fn find(&self, paths: &[StorePath]) -> Vec<Result<Option<ItemInfo>, UpstreamError>>;

    /// The nar of an item that was found, uncompressed. The body ends with an error unless its hash and size are those
    /// of `info`; the server it came from is then not asked for this item for a while, so that who asks again gets it
    /// from another one, if there is one.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Gone`] if no server has an item of that hash and size; `Unavailable`; `Lied` if none is left but
    /// such as gave something else for it not long ago. Later ones come in the body.
    async fn nar(&self, info: &ItemInfo) -> Result<Body, UpstreamError>;
}
