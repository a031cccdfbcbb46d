//! After the build: all that is to be sent, on disk.

use std::io;
use std::sync::Arc;

use grange_derivation::Hash;
use grange_fail_points::{Point, reach};
use grange_interfaces::{LocalStoreError, MadeOutput};
use tracing::warn;

use super::{Problem, StepError};
use crate::context::{AttemptEnd, Context};
use crate::shared::Shared;
use crate::spool::{SpoolError, SpooledOutcome, SpooledOutput, SpooledResult, VERSION, compress};

/// Puts the result into the attempt's directory, unless it is there.
pub(crate) async fn spooled(
    shared: &Shared,
    context: &Context,
) -> Result<Arc<SpooledResult>, StepError> {
    let outcome = match context.end() {
        Some(AttemptEnd::Spooled {
            result,
            verified: true,
            ..
        }) => return Ok(result),
        Some(AttemptEnd::Spooled { result, .. }) => return verified(context, result).await,
        Some(AttemptEnd::Made(outputs)) => SpooledOutcome::Succeeded {
            outputs: compress_all(shared, context, &outputs).await?,
        },
        Some(AttemptEnd::Failed(kind, message)) => SpooledOutcome::Failed { kind, message },
        Some(AttemptEnd::Setup(failure)) => return Err(StepError::Setup(failure)),
        None => {
            return Err(StepError::setup(
                Problem::Other,
                "there is no result to send",
            ));
        }
    };
    let log_size = context
        .log(shared, true)
        .map_err(|error| disk(&error))?
        .file
        .length();
    let result = Arc::new(SpooledResult {
        version: VERSION,
        derivation: context.assignment.derivation.clone(),
        builds: context.assignment.builds.clone(),
        log_size,
        usage: context.state().usage,
        outcome,
    });
    let durable = context.state().took >= shared.config.durable_after;
    write(context, &result, durable).await?;
    let end = AttemptEnd::Spooled {
        result: Arc::clone(&result),
        durable,
        verified: true,
    };
    let mut state = context.state();
    state.end = Some(end);
    state.made = None;
    drop(state);
    Ok(result)
}

async fn write(
    context: &Context,
    result: &Arc<SpooledResult>,
    durable: bool,
) -> Result<(), StepError> {
    let written = if durable {
        let (spool, result) = (context.spool.clone(), Arc::clone(result));
        blocking(move || spool.write_result(&result, true)).await
    } else {
        context.spool.write_result(result, false)
    };
    written.map_err(|error| disk(&error))
}

/// Makes the result survive a power cut, if it does not yet. Whoever calls this has time: the
/// coordinator cannot take the result now.
pub(crate) async fn make_durable(context: &Context) {
    let Some(AttemptEnd::Spooled {
        result,
        durable: false,
        verified,
    }) = context.end()
    else {
        return;
    };
    let (spool, files) = (context.spool.clone(), Arc::clone(&result));
    match blocking(move || spool.sync(&files)).await {
        Ok(()) => {
            let end = AttemptEnd::Spooled {
                result,
                durable: true,
                verified,
            };
            context.state().end = Some(end);
        }
        Err(error) => {
            warn!(attempt = %context.id(), %error, "the result would not survive a power cut");
        }
    }
}

/// Compares what an earlier run left with what it says of it.
async fn verified(
    context: &Context,
    result: Arc<SpooledResult>,
) -> Result<Arc<SpooledResult>, StepError> {
    let (spool, files) = (context.spool.clone(), Arc::clone(&result));
    blocking(move || spool.verify(&files))
        .await
        .map_err(|error| StepError::Damaged(error.to_string()))?;
    let end = AttemptEnd::Spooled {
        result: Arc::clone(&result),
        durable: true,
        verified: true,
    };
    context.state().end = Some(end);
    Ok(result)
}

async fn compress_all(
    shared: &Shared,
    context: &Context,
    outputs: &[MadeOutput],
) -> Result<Vec<SpooledOutput>, StepError> {
    let mut spooled = Vec::with_capacity(outputs.len());
    for (number, output) in outputs.iter().enumerate() {
        let nar = shared
            .store
            .export(&output.path)
            .await
            .map_err(|error| match error {
                LocalStoreError::Io(message) => {
                    StepError::later(format!("{} cannot be read: {message}", output.path))
                }
                error => StepError::setup(Problem::Other, format!("an output is gone: {error}")),
            })?;
        let file = format!("{number}.nar.zst");
        let to = context.spool.file(&file);
        let level = shared.config.compression_level;
        let compressed = compress(nar, output.nar_size, to, level).await;
        let (file_hash, file_size) = compressed.map_err(|error| match error {
            SpoolError::Disk(error) => disk(&error),
            SpoolError::Source(error) => StepError::setup(
                Problem::Other,
                format!("the archive of {} cannot be read: {error}", output.path),
            ),
        })?;
        reach(Point::OutputSpooled);
        spooled.push(SpooledOutput {
            name: output.name.clone(),
            path: output.path.to_string(),
            file,
            file_hash,
            file_size,
            nar_hash: Hash::from_sha256(output.nar_hash.0).to_base16(),
            nar_size: output.nar_size,
            references: output.references.iter().map(ToString::to_string).collect(),
        });
    }
    Ok(spooled)
}

/// The state directory cannot be written: it is full, or worse. The outputs are still in the
/// agent's store, and it is tried again.
fn disk(error: &io::Error) -> StepError {
    warn!(%error, "a result cannot be written to the state directory: trying again");
    StepError::later(format!("the state directory cannot be written: {error}"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
