//! One attempt, from its assignment until it is closed.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use grange_agent_core::Assignment;
use grange_interfaces::{Job, MadeOutput, Stop};
use grange_model::{AttemptId, FailureKind, Usage};
use tokio_util::task::AbortOnDropHandle;

use crate::claims::Claim;
use crate::log::{LogFile, LogSender};
use crate::shared::Shared;
use crate::spool::{Spool, SpooledResult};
use crate::steps::SetupFailure;

/// One attempt, from its assignment until it is closed.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) assignment: Assignment,
    pub(crate) spool: Spool,
    /// Says that nobody wants the attempt any more.
    pub(crate) stop: Stop,
    /// An earlier run of this agent may have begun it, whether it has left something or a power cut took all.
    pub(crate) earlier: bool,
    log: OnceLock<AttemptLog>,
    state: Mutex<State>,
}

/// An attempt's log, on disk and on its way.
#[derive(Clone, Debug)]
pub(crate) struct AttemptLog {
    pub(crate) file: Arc<LogFile>,
    pub(crate) sender: Arc<tokio::sync::Mutex<LogSender>>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// What the builder is called with.
    pub(crate) ready: Option<Ready>,
    /// The outputs, until they are in the attempt's directory.
    pub(crate) made: Option<Claim>,
    /// How it ended.
    pub(crate) end: Option<AttemptEnd>,
    /// How long the builder ran.
    pub(crate) took: Duration,
    /// What it used.
    pub(crate) usage: Usage,
    /// Some of the outputs may be with the coordinator already.
    pub(crate) sent: bool,
    /// What sends the log while the builder runs.
    pub(crate) live: Option<AbortOnDropHandle<()>>,
}

/// An attempt whose inputs are there.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) job: Job,
    pub(crate) claim: Claim,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(crate) enum AttemptEnd {
    /// The outputs are in the agent's store.
    Made(Vec<MadeOutput>),
    /// The builder failed.
    Failed(FailureKind, String),
    /// All that is to be sent is in the attempt's directory.
    Spooled {
        result: Arc<SpooledResult>,
        /// It survives a power cut.
        durable: bool,
        /// This run of the agent wrote it, or has compared the hashes.
        verified: bool,
    },
    /// The builder was not run.
    Setup(SetupFailure),
}

impl Context {
    pub(crate) fn new(assignment: Assignment, spool: Spool, stop: Stop) -> Self {
        Self {
            assignment,
            spool,
            stop,
            earlier: false,
            log: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// One whose result an earlier run left.
    pub(crate) fn resumed(
        assignment: Assignment,
        spool: Spool,
        stop: Stop,
        result: SpooledResult,
    ) -> Self {
        let end = AttemptEnd::Spooled {
            result: Arc::new(result),
            durable: true,
            verified: false,
        };
        let context = Self::new(assignment, spool, stop);
        context.state().end = Some(end);
        context.state().sent = true;
        context
    }

    pub(crate) fn id(&self) -> AttemptId {
        self.assignment.attempt
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn end(&self) -> Option<AttemptEnd> {
        self.state().end.clone()
    }

    /// The log; `fresh` if the coordinator has nothing of it, should it be opened now.
    pub(crate) fn log(&self, shared: &Shared, fresh: bool) -> io::Result<AttemptLog> {
        if let Some(log) = self.log.get() {
            return Ok(log.clone());
        }
        let file = Arc::new(LogFile::open(&self.spool.log())?);
        let coordinator = Arc::clone(&shared.coordinator);
        let sender = LogSender::new(coordinator, self.id(), Arc::clone(&file), fresh);
        let log = AttemptLog {
            file,
            sender: Arc::new(tokio::sync::Mutex::new(sender)),
        };
        Ok(self.log.get_or_init(|| log).clone())
    }
}
