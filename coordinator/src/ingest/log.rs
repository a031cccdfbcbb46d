//! Logs: bytes, as the builder wrote them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_fail_points::{Point, reach};
use grange_interfaces::{ArtifactError, Body, Fault, Refusal, Source, UploadId};
use grange_model::{AttemptId, BlobId};
use sha2::{Digest, Sha256};

use super::stream::broke_off;
use super::uploads::append;
use crate::convert::artifact_refusal;
use crate::retain::Pin;
use crate::shared::Shared;

/// The upload that an attempt's log is, as long as the attempt has not ended.
pub(crate) fn log_upload(attempt: AttemptId) -> UploadId {
    UploadId::new(format!("attempt-{attempt}-log")).expect("numbers make a name")
}

pub(crate) fn is_log(upload: &UploadId) -> bool {
    upload.as_str().starts_with("attempt-") && upload.as_str().ends_with("-log")
}

pub(crate) async fn log_offset(shared: &Shared, attempt: AttemptId) -> Result<u64, Refusal> {
    shared
        .artifacts
        .offset(&log_upload(attempt))
        .await
        .map_err(artifact_refusal)
}

pub(crate) async fn append_log(
    shared: &Shared,
    attempt: AttemptId,
    offset: u64,
    body: Body,
) -> Result<u64, Refusal> {
    let upload = log_upload(attempt);
    let most = shared.config.max_log;
    let (mut kept, passed) = cut(body, most.saturating_sub(offset));
    let stored = if offset <= most {
        append(shared, &upload, offset, kept, u64::MAX).await?
    } else {
        let stored = log_offset(shared, attempt).await?;
        while stored >= most
            && let Some(piece) = kept.next().await
        {
            piece.map_err(|error| broke_off(&error))?;
        }
        stored
    };
    shared.log_grew();
    if stored < most {
        return Ok(stored);
    }
    // What is beyond the largest log is taken and dropped, so that the build goes on.
    Ok(stored.max(offset.saturating_add(passed.load(Ordering::Relaxed))))
}

/// At most so many bytes of a body, which is read to its end; and how many there were.
fn cut(body: Body, most: u64) -> (Body, Arc<AtomicU64>) {
    let passed = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&passed);
    let kept = body.map(move |piece| {
        let mut piece = piece?;
        let before = counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
        let room = usize::try_from(most.saturating_sub(before)).unwrap_or(usize::MAX);
        piece.truncate(room);
        Ok(piece)
    });
    (kept.boxed(), passed)
}

/// Whether the whole log has arrived, as far as it is kept.
///
/// It may not have, although the agent sent it: a coordinator that was killed between sealing the
/// log and committing the result has forgotten which blob it is. The agent then sends it again.
pub(crate) async fn check_log(
    shared: &Shared,
    attempt: AttemptId,
    said: u64,
) -> Result<(), Refusal> {
    if said == 0 {
        return Ok(());
    }
    let here = log_offset(shared, attempt).await?;
    if here >= said.min(shared.config.max_log) {
        return Ok(());
    }
    Err(Refusal::new(
        Fault::Conflict,
        format!("{here} of {said} bytes of the log have arrived"),
    ))
}

/// Makes the log what it stays, of the `said` bytes that there were. None if nothing was said. The pin is kept until the
/// log's name is durable.
pub(crate) async fn seal_log(
    shared: &Shared,
    attempt: AttemptId,
    said: u64,
) -> Result<Option<(BlobId, Pin)>, Refusal> {
    let upload = log_upload(attempt);
    let most = shared.config.max_log;
    if said > most && log_offset(shared, attempt).await? == most {
        // Whoever reads it shall not take it for all that was said.
        let note = format!(
            "\n[{} more bytes of this log were dropped: {most} are kept]\n",
            said - most
        );
        let note = stream::iter([Ok(Bytes::from(note))]).boxed();
        append(shared, &upload, most, note, u64::MAX).await?;
    }
    let source = Source::Upload(upload.clone());
    let mut body = match shared.artifacts.read(&source, 0..u64::MAX).await {
        Ok(body) => body,
        Err(ArtifactError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(artifact_refusal(error)),
    };
    let mut hash = Sha256::new();
    while let Some(piece) = body.next().await {
        hash.update(piece.map_err(|error| artifact_refusal(ArtifactError::Io(error)))?);
    }
    let blob = BlobId(hash.finalize().into());
    let pin = shared.pins.pin(blob).await;
    shared
        .artifacts
        .seal(&upload, blob)
        .await
        .map_err(artifact_refusal)?;
    reach(Point::LogSealed);
    Ok(Some((blob, pin)))
}
