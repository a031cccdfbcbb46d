//! What must hold at any moment, one file each, with what would go wrong without it.
//!
//! Not all that a farm promises can be seen in a run of both cores. That a core is pure, does no more than a slice at a time
//! and keeps nothing of what has ended, the core's own tests and [`check_invariants`](grange_coordinator_core::Core::check_invariants)
//! say, which `core_agrees` asks here; that what is polled may be done at once follows from `acknowledged` and `order`, for
//! this shell does it at once; that a hook slows nobody follows from `live`, since hooks fail here while builds go on.

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
