//! What a core is told.

use std::time::Duration;

use grange_model::AttemptId;

use crate::Assignment;

/// Something that happened. What makes no sense (any more) changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The coordinator answered an exchange.
    Answered {
        /// Which. Only the answer to the newest one counts.
        revision: u64,
        /// Attempts to make.
        assign: Vec<Assignment>,
        /// Attempts that nobody wants.
        drop: Vec<AttemptId>,
        /// How long the coordinator counts on the agent without hearing of it.
        lease: Duration,
    },
    /// An exchange did not go.
    ExchangeFailed {
        /// Which.
        revision: u64,
        /// Why.
        failure: ExchangeFailure,
    },
    /// A finished result of an earlier run lies on disk.
    Resumed(Assignment),
    /// The inputs are there.
    Prepared(AttemptId),
    /// The builder has returned, well or not, and there is a result to send.
    Finished(AttemptId),
    /// The builder was not run, or what it made cannot be sent: there is only this to report.
    SetupFailed(AttemptId),
    /// The outputs and the log are with the coordinator.
    Uploaded(AttemptId),
    /// The coordinator took the report.
    Accepted(AttemptId),
    /// The coordinator does not want this attempt.
    Refused(AttemptId),
    /// A result of an earlier run is damaged.
    Lost(AttemptId),
    /// What is under way for this attempt did not go; later it may.
    Broken {
        /// Which.
        attempt: AttemptId,
        /// When to try again, if the other side said so.
        retry_after: Option<Duration>,
    },
    /// Nothing runs any more for an attempt that was to be closed, and its files are gone.
    Closed(AttemptId),
    /// Take nothing new, and end when all is done.
    Drain,
    /// End now. Results on disk are for the next run.
    Stop,
}

/// Why an exchange did not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeFailure {
    /// The coordinator was not reached, or cannot now.
    Unreachable {
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// It does not take the agent's password.
    Forbidden,
    /// It will never answer this agent as it is.
    Fatal,
}
