//! An attempt on its agent.

use grange_model::{AttemptId, BuildId, Limits};

use crate::backoff::Backoff;
use crate::elapsed::Moment;

/// An attempt to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Which.
    pub attempt: AttemptId,
    /// The derivation's path.
    pub derivation: String,
    /// The builds that it may end.
    pub builds: Vec<BuildId>,
    /// How long it may take.
    pub limits: Limits,
}

/// How far an attempt has come, as the coordinator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Its inputs are fetched, or it waits for room.
    Preparing,
    /// The builder runs.
    Building,
    /// Its result is on its way.
    Uploading,
}

/// What an attempt goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Prepare,
    Build,
    Upload,
    Report,
}

impl Step {
    pub(crate) const ALL: [Self; 4] = [Self::Prepare, Self::Build, Self::Upload, Self::Report];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// For its turn.
    Waiting(Step),
    /// The embedder does it.
    Active(Step),
    /// It did not go; again from that moment on.
    Pausing(Step, Moment),
    /// The embedder stops and deletes. If the builder ran, it does so until that is done.
    Closing { building: bool, again: bool },
}

#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) assignment: Assignment,
    pub(crate) stage: Stage,
    pub(crate) backoff: Backoff,
}

impl Attempt {
    pub(crate) fn new(assignment: Assignment, step: Step) -> Self {
        Self {
            assignment,
            stage: Stage::Waiting(step),
            backoff: Backoff::ordinary(),
        }
    }

    pub(crate) fn id(&self) -> AttemptId {
        self.assignment.attempt
    }

    /// The step that it waits for or takes; none once it is being closed.
    pub(crate) fn step(&self) -> Option<Step> {
        match self.stage {
            Stage::Waiting(step) | Stage::Active(step) | Stage::Pausing(step, _) => Some(step),
            Stage::Closing { .. } => None,
        }
    }

    /// What the coordinator is told; none if it is not to count on the attempt.
    pub(crate) fn phase(&self) -> Option<Phase> {
        match self.stage {
            Stage::Active(Step::Build) => Some(Phase::Building),
            Stage::Closing { again, .. } => again.then_some(Phase::Preparing),
            _ => match self.step()? {
                Step::Prepare | Step::Build => Some(Phase::Preparing),
                Step::Upload | Step::Report => Some(Phase::Uploading),
            },
        }
    }

    pub(crate) fn builds(&self) -> bool {
        matches!(
            self.stage,
            Stage::Active(Step::Build) | Stage::Closing { building: true, .. }
        )
    }
}
