//! What an agent does, for people who look.

use std::sync::Arc;

use grange_agent_core::{Assignment, Core, Ending};
use grange_interfaces::message::Phase;
use grange_model::{AttemptId, BuildId, SessionId, Timestamp};

use crate::context::AttemptEnd;
use crate::exchange::phase as phase_of;
use crate::spool::SpooledOutcome;

/// What an agent does at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentStatus {
    /// Its run; none before it has begun.
    pub session: Option<SessionId>,
    /// Whether the last exchange with the coordinator went.
    pub connected: bool,
    /// When the coordinator last answered an exchange.
    pub last_contact: Option<Timestamp>,
    /// Why it is not connected, for people.
    pub problem: Option<String>,
    /// What it holds, in the order in which it came.
    pub attempts: Vec<AttemptStatus>,
    /// What it has done in this run.
    pub totals: Totals,
}

/// An attempt that an agent holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptStatus {
    /// Which.
    pub attempt: AttemptId,
    /// The derivation's path.
    pub derivation: String,
    /// The builds that it may end.
    pub builds: Vec<BuildId>,
    /// How far it is.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
}

/// How many attempts ended so in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The coordinator has the outputs.
    pub succeeded: u64,
    /// The builder failed, and the coordinator knows.
    pub failed: u64,
    /// The builder was not run, and the coordinator knows why.
    pub setup_failed: u64,
    /// The coordinator did not want them any more.
    pub dropped: u64,
}

/// Keeps a status up to date.
#[derive(Debug)]
pub(crate) struct StatusKeeper {
    status: AgentStatus,
    /// What the last look gave.
    shown: Arc<AgentStatus>,
}

impl StatusKeeper {
    pub(crate) fn new(session: SessionId) -> Self {
        let status = AgentStatus {
            session: Some(session),
            ..AgentStatus::default()
        };
        Self {
            status,
            shown: Arc::default(),
        }
    }

    pub(crate) fn problem(&mut self, problem: Option<String>) {
        self.status.problem = problem;
    }

    pub(crate) fn count(&mut self, ending: Ending, end: Option<&AttemptEnd>) {
        let totals = &mut self.status.totals;
        let count = match (ending, end) {
            (Ending::Accepted, Some(AttemptEnd::Spooled { result, .. })) => match result.outcome {
                SpooledOutcome::Succeeded { .. } => &mut totals.succeeded,
                SpooledOutcome::Failed { .. } => &mut totals.failed,
            },
            (Ending::Accepted, _) => &mut totals.setup_failed,
            (Ending::Refused | Ending::Dropped | Ending::Lost, _) => &mut totals.dropped,
        };
        *count += 1;
    }

    /// The status now, if it has changed since the last look.
    pub(crate) fn look<'a>(
        &mut self,
        now: Timestamp,
        core: &Core,
        describe: impl Fn(AttemptId) -> Option<&'a Assignment>,
    ) -> Option<Arc<AgentStatus>> {
        let contact = core.contact();
        self.status.connected = contact.last.is_some() && !contact.failing;
        self.status.last_contact = contact.last;
        self.status.attempts.clear();
        for (attempt, phase) in core.held() {
            let phase = phase_of(phase);
            let old = self
                .shown
                .attempts
                .iter()
                .find(|old| old.attempt == attempt);
            let since = old
                .filter(|old| old.phase == phase)
                .map_or(now, |old| old.since);
            let (derivation, builds) = match (describe(attempt), old) {
                (Some(assignment), _) => (assignment.derivation.clone(), assignment.builds.clone()),
                (None, Some(old)) => (old.derivation.clone(), old.builds.clone()),
                (None, None) => continue,
            };
            let status = AttemptStatus {
                attempt,
                derivation,
                builds,
                phase,
                since,
            };
            self.status.attempts.push(status);
        }
        if self.status == *self.shown {
            return None;
        }
        self.shown = Arc::new(self.status.clone());
        Some(Arc::clone(&self.shown))
    }
}
