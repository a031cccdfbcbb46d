//! What must never be.

use crate::time::Moment;

/// Something that must hold does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after {} ms: {invariant}: {detail}", at.0 / 1_000)]
pub struct Violation {
    /// What must hold: the name of its file among the invariants.
    pub invariant: &'static str,
    /// When it was seen not to hold.
    pub at: Moment,
    /// What was seen.
    pub detail: String,
}
