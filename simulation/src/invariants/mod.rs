//! What must hold at any moment, one file each, with what would go wrong without it.

mod acknowledged;
mod core_agrees;
mod ends;
mod hooks;
mod invariant;
mod nothing_lost;
mod one_agent;
mod one_result;
mod one_set;
mod order;
mod priority;
mod sealed;

pub(crate) use hooks::follow_up;
pub(crate) use invariant::{Asked, Audit, Commit, look};
