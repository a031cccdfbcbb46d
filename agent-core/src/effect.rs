//! What a core wants done.

use std::time::Duration;

use grange_model::{AttemptId, SessionId};

use crate::{Assignment, Phase};

/// Something to do. It may be begun at once, in any order, and all of it at the same time.
///
/// Each of `Prepare`, `Build`, `Upload` and `Report` is answered by one [`Input`](crate::Input)
/// about the attempt; `Close` by [`Input::Closed`](crate::Input::Closed), and nothing else is then
/// expected of that attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell the coordinator. This makes an exchange that is under way void: its answer is not
    /// waited for.
    Exchange(Exchange),
    /// Get what the attempt needs.
    Prepare(Assignment),
    /// Run the builder.
    Build(AttemptId),
    /// Put the result on disk, and send outputs and log.
    Upload(AttemptId),
    /// Report how the attempt ended.
    Report(AttemptId),
    /// Stop whatever runs for the attempt, and delete its files.
    Close {
        /// Which.
        attempt: AttemptId,
        /// Why.
        ending: Ending,
    },
    /// Stop everything, keep all files. It is the last effect.
    End(End),
}

/// What the coordinator is told: the whole truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The run of the agent.
    pub session: SessionId,
    /// Counts the exchanges of the session from 1 on.
    pub revision: u64,
    /// Whether the agent takes anything new.
    pub accepting: bool,
    /// All attempts that the agent holds, in the order in which they came.
    pub held: Vec<(AttemptId, Phase)>,
    /// How long the coordinator may let it wait for something to do.
    pub wait: Duration,
}

/// How an attempt ended for its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The coordinator took the report.
    Accepted,
    /// The coordinator did not want the result.
    Refused,
    /// The coordinator told the agent to drop it.
    Dropped,
    /// Its files were damaged.
    Lost,
}

/// Why an agent ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to stop.
    Stopped,
    /// It was told to drain, and all is done.
    Drained,
    /// The coordinator will never answer it.
    Fatal,
}
