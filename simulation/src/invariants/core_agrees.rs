//! What the core keeps in several places agrees.
//!
//! Counter-example: a counter of inputs that are expected is one too high. Nothing is wrong yet; but
//! the build will wait for ever.

use grange_coordinator_core::Core;

use super::invariant::{Invariant, Look};

#[derive(Debug)]
pub(super) struct CoreAgrees;

impl Invariant for CoreAgrees {
    fn name(&self) -> &'static str {
        "core-agrees"
    }

    fn full(&mut self, _look: Look<'_>, core: &Core, _settled: bool) -> Result<(), String> {
        // A bug that is put back must be seen from outside.
        if cfg!(grange_bugs) {
            return Ok(());
        }
        core.check_invariants()
            .map_err(|violation| violation.to_string())
    }
}
