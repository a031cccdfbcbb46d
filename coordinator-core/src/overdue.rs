//! That no agent keeps a build for ever.
//!
//! Counter-example: an agent says in each exchange that it prepares a build. Its lease is renewed, so nobody else gets the
//! build, and no limit on builders applies as none runs. So an attempt that takes much longer than its limits explain counts
//! as a setup failure, and others may try.

use std::time::Duration;

use grange_model::SetupProblem;

use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::Attempt;

/// Beside its own builder another may run, for which it waits.
const BUILDERS: u64 = 2;

impl Core {
    /// How long an agent may have an attempt in all.
    fn patience_with(&self, ix: Ix<Attempt>) -> Duration {
        let builds = self.tasks[self.attempts[ix].task].builds.iter();
        let limits = builds.map(|build| self.builds[*build].ask.limits.timeout_ms);
        let limit = limits.max().unwrap_or(0).saturating_mul(BUILDERS);
        self.config
            .hold
            .saturating_add(Duration::from_millis(limit))
    }

    /// Whether an agent has had an attempt for too long.
    pub(crate) fn is_overdue(&self, ix: Ix<Attempt>) -> bool {
        let had = self.now.since(self.attempts[ix].record.assigned_at);
        // Its builds, of which there may be many, need not be looked at in each exchange.
        had > self.config.hold && had > self.patience_with(ix)
    }

    /// It is as if the agent had failed to begin.
    pub(crate) fn give_up(&mut self, ix: Ix<Attempt>) {
        let hours = self.patience_with(ix).as_secs_f64() / 3_600.0;
        let message = format!("the agent had it for more than {hours:.1} h and reported nothing");
        self.setup_failed(ix, SetupProblem::Other, message);
    }
}
