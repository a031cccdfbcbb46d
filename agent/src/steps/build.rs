//! The build itself.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{FusedFuture, FutureExt};
use grange_agent_core::Input;
use grange_fail_points::{Point, reach};
use grange_interfaces::{BuildError, Built, Job, Log, Stop};
use grange_model::{FailureKind, SetupProblem, Usage};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{Problem, SetupFailure, StepError};
use crate::context::{AttemptEnd, AttemptLog, Context, Ready};
use crate::health::memory_kills;
use crate::log::{pump, send_live};
use crate::pause::pause;
use crate::shared::Shared;

/// Pieces of a log that may wait for the disk.
const PIECES: usize = 64;
/// How long the log of a build that has returned may stay open.
const LINGER: Duration = Duration::from_secs(5);

/// Runs the builder. None if it was stopped: the attempt is being closed.
pub(crate) async fn build(shared: &Shared, context: &Context) -> Option<Input> {
    let attempt = context.id();
    let ready = context.state().ready.take();
    let Some(Ready { job, claim }) = ready else {
        let failure =
            SetupFailure::new(Problem::Other, "the build was begun before it was prepared");
        return Some(StepError::Setup(failure).into_input(context));
    };
    let log = match context.log(shared, true) {
        Ok(log) => log,
        Err(error) => {
            let message = format!("the log cannot be opened: {error}");
            return Some(StepError::setup(Problem::Other, message).into_input(context));
        }
    };
    info!(%attempt, derivation = %job.path, "building");
    let began = shared.clock.now();
    reach(Point::BuildBegun);
    let kills = memory_kills();
    let result = run(shared, context, &job, &log).await;
    let killed = memory_kills() > kills;
    reach(Point::BuildEnded);
    let took = shared.clock.now().since(began);
    context.state().took = took;
    context.state().usage = Usage {
        build_ms: u64::try_from(took.as_millis()).ok(),
        peak_memory: result.as_ref().ok().and_then(|built| built.peak_memory),
    };
    drop(claim);
    let end = match result {
        Ok(built) => match check(&job, &built) {
            Ok(()) => AttemptEnd::Made(built.outputs),
            Err(message) => {
                let failure = SetupFailure::new(Problem::Other, message);
                return Some(StepError::Setup(failure).into_input(context));
            }
        },
        Err(BuildError::Failed { kind, message }) if killed && may_be_killed(&kind) => {
            let message =
                format!("{message}; meanwhile the kernel killed a process for want of memory");
            AttemptEnd::Failed(FailureKind::OutOfMemory, message)
        }
        Err(BuildError::Failed { kind, message }) => AttemptEnd::Failed(kind, message),
        Err(BuildError::Setup { problem, message }) => {
            let failure = setup_failure(&job, problem, message);
            return Some(StepError::Setup(failure).into_input(context));
        }
        Err(BuildError::Stopped) if context.stop.is_stopped() => return None,
        Err(BuildError::Stopped) => {
            let message = "the builder says that it was stopped, and nobody stopped it";
            return Some(StepError::setup(Problem::Other, message).into_input(context));
        }
    };
    context.state().end = Some(end);
    Some(Input::Finished(attempt))
}

/// Whether a builder ends so if a process of it is killed.
fn may_be_killed(kind: &FailureKind) -> bool {
    matches!(kind, FailureKind::Exit(_) | FailureKind::Signal(_))
}

async fn run(
    shared: &Shared,
    context: &Context,
    job: &Job,
    log: &AttemptLog,
) -> Result<Built, BuildError> {
    let (writer, receiver) = Log::new(PIECES);
    let (mut done, sending) = Stop::new();
    let live = send_live(
        Arc::clone(&log.sender),
        Arc::clone(&log.file),
        Arc::clone(&shared.clock),
        shared.jitter(),
        sending,
    );
    context.state().live = Some(AbortOnDropHandle::new(tokio::spawn(live)));
    let writing = pump(
        context.id(),
        receiver,
        Arc::clone(&log.file),
        Arc::clone(&shared.clock),
        context.stop.clone(),
    );
    let mut pumping = pin!(writing.fuse());
    let mut building = pin!(shared.builder.build(job, writer, context.stop.clone()));
    let result = loop {
        tokio::select! {
            result = &mut building => break result,
            () = &mut pumping, if !pumping.is_terminated() => {}
        }
    };
    if !pumping.is_terminated() {
        tokio::select! {
            biased;
            () = &mut pumping => {}
            () = context.stop.stopped() => {}
            () = linger(shared, log) => {
                warn!(attempt = %context.id(), "the build has returned, and its log is still open");
            }
        }
    }
    done.stop();
    result
}

/// Returns when the log has not grown for a while.
async fn linger(shared: &Shared, log: &AttemptLog) {
    let mut before = None;
    while before != Some(log.file.length()) {
        before = Some(log.file.length());
        pause(&*shared.clock, LINGER).await;
    }
}

/// Whether the builder returned what the derivation names; else what differs.
fn check(job: &Job, built: &Built) -> Result<(), String> {
    let named: BTreeMap<&str, _> = job
        .derivation
        .outputs
        .iter()
        .map(|(name, output)| (name.as_str(), &output.path))
        .collect();
    let made: BTreeMap<&str, _> = built
        .outputs
        .iter()
        .map(|output| (output.name.as_str(), &output.path))
        .collect();
    if named == made && made.len() == built.outputs.len() {
        return Ok(());
    }
    Err(format!(
        "the builder returned the outputs {made:?}, and the derivation names {named:?}"
    ))
}

fn setup_failure(job: &Job, problem: SetupProblem, message: String) -> SetupFailure {
    let problem = match problem {
        SetupProblem::MissingInputs(digests) => {
            let inputs = job.inputs.iter();
            let missing =
                inputs.filter(|path| digests.iter().any(|digest| digest.0 == *path.digest()));
            Problem::MissingInputs(missing.map(ToString::to_string).collect())
        }
        SetupProblem::OutputsInTheWay => Problem::OutputsInTheWay,
        SetupProblem::DiskFull => Problem::DiskFull,
        SetupProblem::Unsupported => Problem::Unsupported,
        _ => Problem::Other,
    };
    SetupFailure { problem, message }
}
