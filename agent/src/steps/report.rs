//! How an attempt ended, to the coordinator.

use grange_agent_core::Input;
use grange_fail_points::{Point, reach};
use grange_interfaces::message::Report;
use grange_interfaces::{Fault, Refusal};
use tracing::{error, info};

use super::spool::make_durable;
use super::upload::{log_size, result, send};
use super::{Problem, SetupFailure, StepError};
use crate::calls::is_void;
use crate::context::{AttemptEnd, Context};
use crate::shared::Shared;

/// Reports how the attempt ended.
pub(crate) async fn report(shared: &Shared, context: &Context) -> Input {
    match try_report(shared, context).await {
        Ok(input) => input,
        // What was to be reported cannot be: that is reported next.
        Err(StepError::Setup(failure)) => {
            let attempt = context.id();
            error!(%attempt, message = failure.message, "the result cannot be reported");
            context.state().end = Some(AttemptEnd::Setup(failure));
            Input::Broken {
                attempt,
                retry_after: None,
            }
        }
        Err(error) => {
            if matches!(error, StepError::Later { .. }) {
                make_durable(context).await;
            }
            error.into_input(context)
        }
    }
}

async fn try_report(shared: &Shared, context: &Context) -> Result<Input, StepError> {
    let attempt = context.id();
    let refusal = match tell(shared, context).await {
        Ok(None) => {
            info!(%attempt, "reported");
            return Ok(Input::Accepted(attempt));
        }
        Ok(Some(refusal)) | Err(refusal) => refusal,
    };
    match &refusal {
        // Perhaps the coordinator lost, in a power cut, what had not been sealed.
        refusal if is_void(refusal) => match result(context) {
            Some(result) if send(shared, context, &result).await? => Ok(Input::Broken {
                attempt,
                retry_after: None,
            }),
            _ => Err(refusal.clone().into()),
        },
        refusal if refusal.fault == Fault::Caller => refused(context, refusal),
        refusal => Err(refusal.clone().into()),
    }
}

/// The coordinator will never take this report. It is told so, as a setup failure: otherwise it
/// would count on the attempt for ever.
fn refused(context: &Context, refusal: &Refusal) -> Result<Input, StepError> {
    match context.end() {
        Some(AttemptEnd::Setup(_)) => Ok(Input::Refused(context.id())),
        _ => {
            let message = format!("the coordinator refused the result: {refusal}");
            Err(StepError::setup(Problem::Other, message))
        }
    }
}

async fn tell(shared: &Shared, context: &Context) -> Result<Option<Refusal>, Refusal> {
    let report = match context.end() {
        Some(AttemptEnd::Setup(failure)) => failure.report(),
        _ => match (result(context), log_size(shared, context)) {
            (Some(result), Ok(log_size)) => result.report(log_size),
            _ => missing(),
        },
    };
    reach(Point::ReportSending);
    let answered = shared.coordinator.report(context.id(), report).await;
    reach(Point::ReportAnswered);
    answered
}

/// For a defect of the agent.
fn missing() -> Report {
    SetupFailure::new(Problem::Other, "the agent has lost the result").report()
}
