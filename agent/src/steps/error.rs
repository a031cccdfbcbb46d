//! Why a step of an attempt did not go.

use std::time::Duration;

use grange_agent_core::Input;
use grange_interfaces::message::Report;
use grange_interfaces::{Fault, Refusal};
use tracing::{debug, info, warn};

use crate::calls::{is_void, retry_after};
use crate::context::{AttemptEnd, Context};
use crate::fetch::FetchError;

/// What kept an attempt from running the builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetupFailure {
    pub(crate) problem: Problem,
    /// For people.
    pub(crate) message: String,
}

/// The kinds that the protocol knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// These.
    MissingInputs(Vec<String>),
    OutputsInTheWay,
    DiskFull,
    Unsupported,
    Other,
}

impl SetupFailure {
    pub(crate) fn new(problem: Problem, message: impl Into<String>) -> Self {
        Self {
            problem,
            message: message.into(),
        }
    }

    pub(crate) fn missing(paths: Vec<String>) -> Self {
        let message = match paths.as_slice() {
            [path] => format!("the input {path} is missing"),
            [path, ..] => format!("{} inputs are missing, such as {path}", paths.len()),
            [] => "an input is missing".to_owned(),
        };
        Self {
            problem: Problem::MissingInputs(paths),
            message,
        }
    }

    pub(crate) fn report(&self) -> Report {
        let (problem, missing) = match &self.problem {
            Problem::MissingInputs(missing) => ("missing-inputs", missing.clone()),
            Problem::OutputsInTheWay => ("outputs-in-the-way", Vec::new()),
            Problem::DiskFull => ("disk-full", Vec::new()),
            Problem::Unsupported => ("unsupported", Vec::new()),
            Problem::Other => ("other", Vec::new()),
        };
        Report::SetupFailed {
            missing,
            problem: problem.to_owned(),
            message: self.message.clone(),
        }
    }
}

/// Why a step did not go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StepError {
    /// It will do later.
    Later {
        message: String,
        retry_after: Option<Duration>,
    },
    /// The coordinator does not want the attempt any more.
    Void(String),
    /// It will not do here.
    Setup(SetupFailure),
    /// What an earlier run left is damaged.
    Damaged(String),
}

impl StepError {
    pub(crate) fn setup(problem: Problem, message: impl Into<String>) -> Self {
        Self::Setup(SetupFailure::new(problem, message))
    }

    pub(crate) fn later(message: impl Into<String>) -> Self {
        Self::Later {
            message: message.into(),
            retry_after: None,
        }
    }

    /// What the core is told.
    pub(crate) fn into_input(self, context: &Context) -> Input {
        let attempt = context.id();
        match self {
            Self::Later {
                message,
                retry_after,
            } => {
                debug!(%attempt, message, "to be tried again");
                Input::Broken {
                    attempt,
                    retry_after,
                }
            }
            Self::Void(message) => {
                info!(%attempt, message, "the coordinator does not want the attempt any more");
                Input::Refused(attempt)
            }
            Self::Setup(failure) => {
                warn!(%attempt, message = failure.message, "setup failure");
                context.state().end = Some(AttemptEnd::Setup(failure));
                Input::SetupFailed(attempt)
            }
            Self::Damaged(message) => {
                warn!(%attempt, message, "the result of an earlier run is damaged, and dropped");
                Input::Lost(attempt)
            }
        }
    }
}

impl From<Refusal> for StepError {
    fn from(refusal: Refusal) -> Self {
        match refusal.fault {
            _ if is_void(&refusal) => Self::Void(refusal.message),
            Fault::Caller => Self::setup(
                Problem::Other,
                format!("the coordinator refused: {refusal}"),
            ),
            _ => Self::Later {
                message: refusal.to_string(),
                retry_after: retry_after(&refusal),
            },
        }
    }
}

impl From<FetchError> for StepError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Later {
                message,
                retry_after,
            } => Self::Later {
                message,
                retry_after,
            },
            FetchError::Missing { path, why } => {
                let mut failure = SetupFailure::missing(vec![path.to_string()]);
                if let Some(why) = why {
                    failure.message =
                        format!("{}; no substitute server gave it: {why}", failure.message);
                }
                Self::Setup(failure)
            }
            FetchError::Full => Self::setup(Problem::DiskFull, "no room in the store for an input"),
            FetchError::Other(message) => Self::setup(Problem::Other, message),
        }
    }
}
