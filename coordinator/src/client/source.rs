//! Where a closure comes from.

use std::fmt;

use async_trait::async_trait;
use grange_derivation::StorePath;
use grange_interfaces::Body;

use super::error::SourceError;

/// What is to be said of a source before its nar is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// Bytes of its nar.
    pub nar_size: u64,
    /// What it refers to, without itself; sorted.
    pub references: Vec<StorePath>,
}

/// Derivations and what they need that no derivation makes.
///
/// # Contract
///
/// * Nothing changes while it is read: the same path gives the same answers and the same bytes.
/// * It is asked for what a coordinator lacks only, in no particular order, each at least once.
#[async_trait]
pub trait ClosureSource: Send + Sync + fmt::Debug {
    /// The text of a derivation.
    ///
    /// # Errors
    ///
    /// It is not there or cannot be read.
    async fn derivation_text(&self, path: &StorePath) -> Result<Vec<u8>, SourceError>;

    /// Size and references of a source: an item whose path follows from its content and its references.
    ///
    /// # Errors
    ///
    /// It is not there, cannot be read, or has another path.
    async fn source_info(&self, path: &StorePath) -> Result<SourceInfo, SourceError>;

    /// The nar of a source, uncompressed. Later errors come in the body.
    ///
    /// # Errors
    ///
    /// It is not there or cannot be read.
    async fn nar(&self, path: &StorePath) -> Result<Body, SourceError>;
}
