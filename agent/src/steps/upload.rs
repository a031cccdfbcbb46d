//! Outputs and log, to the coordinator.

use std::io::SeekFrom;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use grange_agent_core::Input;
use grange_fail_points::{Point, reach};
use grange_interfaces::Body;
use tokio::io::AsyncSeekExt;
use tokio_util::io::ReaderStream;
use tracing::debug;

use super::spool::{make_durable, spooled};
use super::{Problem, StepError};
use crate::calls::is_void;
use crate::context::{AttemptEnd, Context};
use crate::shared::Shared;
use crate::spool::{SpooledOutput, SpooledResult};

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// Puts the result on disk, and sends it.
pub(crate) async fn upload(shared: &Shared, context: &Context) -> Input {
    let sent = match spooled(shared, context).await {
        Ok(result) => send(shared, context, &result).await,
        Err(error) => Err(error),
    };
    match sent {
        Ok(_) => Input::Uploaded(context.id()),
        Err(error) => {
            if matches!(error, StepError::Later { .. }) {
                make_durable(context).await;
            }
            error.into_input(context)
        }
    }
}

/// Sends what the coordinator does not have; whether that was anything.
pub(crate) async fn send(
    shared: &Shared,
    context: &Context,
    result: &Arc<SpooledResult>,
) -> Result<bool, StepError> {
    // The first time the coordinator has nothing, and need not be asked.
    let ask = std::mem::replace(&mut context.state().sent, true);
    let mut sent = false;
    for output in result.outputs() {
        sent |= send_output(shared, context, output, ask).await?;
    }
    Ok(sent | send_log(shared, context, ask).await?)
}

async fn send_output(
    shared: &Shared,
    context: &Context,
    output: &SpooledOutput,
    ask: bool,
) -> Result<bool, StepError> {
    let (attempt, name, hash) = (context.id(), &output.name, &output.file_hash);
    let coordinator = &shared.coordinator;
    let asked = || coordinator.upload_offset(attempt, name, hash);
    let begin = if ask { asked().await? } else { 0 };
    let mut offset = begin;
    let mut stuck = false;
    while offset < output.file_size {
        let body = body(context, output, offset).await.map_err(|error| {
            let message = format!("the spooled output `{name}` cannot be read: {error}");
            StepError::setup(Problem::Other, message)
        })?;
        reach(Point::OutputSending);
        let answer = coordinator
            .append_upload(attempt, name, hash, offset, body)
            .await;
        let after = match answer {
            Ok(after) => after,
            // It may be the offset that is wrong, not the attempt: if it is the attempt, the
            // question for the offset is refused as well.
            Err(refusal) if is_void(&refusal) => asked().await?,
            Err(refusal) => return Err(refusal.into()),
        };
        reach(Point::OutputSent);
        debug!(%attempt, output = name, offset, after, size = output.file_size, "sent");
        if after <= offset && std::mem::replace(&mut stuck, true) {
            return Err(StepError::later(
                "the coordinator takes nothing of an output",
            ));
        }
        stuck &= after <= offset;
        offset = after;
    }
    Ok(offset > begin)
}

/// The rest of an output's file.
async fn body(context: &Context, output: &SpooledOutput, offset: u64) -> std::io::Result<Body> {
    let path = context.spool.file(&output.file);
    if output.file_size <= PIECE as u64 && offset == 0 {
        let piece = std::fs::read(path)?;
        return Ok(stream::iter([Ok(piece.into())]).boxed());
    }
    let mut file = tokio::fs::File::open(path).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    let pieces = ReaderStream::with_capacity(file, PIECE).enumerate();
    // Whoever asks for another piece has taken the one before.
    let pieces = pieces.inspect(|(number, _)| {
        if *number > 0 {
            reach(Point::OutputPieceSent);
        }
    });
    Ok(pieces.map(|(_, piece)| piece).boxed())
}

async fn send_log(shared: &Shared, context: &Context, ask: bool) -> Result<bool, StepError> {
    let log = context
        .log(shared, !ask)
        .map_err(|error| StepError::later(format!("the log cannot be read: {error}")))?;
    let mut sender = log.sender.lock().await;
    if ask {
        sender.forget();
    }
    match sender.send_all().await {
        // As with outputs: only the question for the offset says whether the attempt is void.
        Err(refusal) if is_void(&refusal) => {
            sender.forget();
            sender.offset().await?;
            sender
                .send_all()
                .await
                .map_err(|refusal| StepError::later(refusal.to_string()))
        }
        sent => Ok(sent?),
    }
}

/// Bytes of the whole log.
pub(crate) fn log_size(shared: &Shared, context: &Context) -> Result<u64, StepError> {
    let log = context.log(shared, false);
    log.map(|log| log.file.length())
        .map_err(|error| StepError::later(format!("the log cannot be read: {error}")))
}

/// What the attempt's directory holds, if all of it is there.
pub(crate) fn result(context: &Context) -> Option<Arc<SpooledResult>> {
    match context.end() {
        Some(AttemptEnd::Spooled { result, .. }) => Some(result),
        _ => None,
    }
}
