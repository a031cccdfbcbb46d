//! Outputs on their way: compressed nars that agents send in pieces.

use std::collections::BTreeSet;

use futures::StreamExt;
use grange_coordinator_core::Core;
use grange_interfaces::{ArtifactError, Body, Fault, Refusal, Source, UploadId};
use grange_model::AttemptId;

use super::log::is_log;
use crate::convert::{artifact_refusal, blob, parse_sha256};
use crate::shared::Shared;

/// What uploads of one attempt begin with.
fn prefix(attempt: AttemptId) -> String {
    format!("attempt-{attempt}-")
}

/// The upload of a compressed nar of an attempt.
pub(crate) fn upload_of(attempt: AttemptId, file_hash: &str) -> Result<UploadId, Refusal> {
    parse_sha256("the file's hash", file_hash)?;
    Ok(UploadId::new(format!("{}{file_hash}", prefix(attempt)))
        .expect("numbers and base16 make a name"))
}

pub(crate) async fn upload_offset(
    shared: &Shared,
    attempt: AttemptId,
    file_hash: &str,
) -> Result<u64, Refusal> {
    let upload = upload_of(attempt, file_hash)?;
    let offset = shared
        .artifacts
        .offset(&upload)
        .await
        .map_err(artifact_refusal)?;
    if offset > 0 {
        return Ok(offset);
    }
    // It may have been sealed by an earlier try, or another output may have the same bytes.
    let blob = blob(parse_sha256("the file's hash", file_hash)?);
    // A sweep that is under way leaves it to the report. A later one may not; then the agent is told
    // to send it after all.
    let _pin = shared.pins.pin(blob).await;
    let sealed = shared.artifacts.size(&Source::Blob(blob)).await;
    Ok(sealed.unwrap_or(0))
}

/// Appends, or says where to go on.
pub(crate) async fn append_upload(
    shared: &Shared,
    attempt: AttemptId,
    file_hash: &str,
    offset: u64,
    body: Body,
) -> Result<u64, Refusal> {
    let upload = upload_of(attempt, file_hash)?;
    append(shared, &upload, offset, body, shared.config.max_output).await
}

/// Appends at most up to a size, or says where to go on.
pub(crate) async fn append(
    shared: &Shared,
    upload: &UploadId,
    offset: u64,
    body: Body,
    largest: u64,
) -> Result<u64, Refusal> {
    let mut size = offset;
    let bounded = body.map(move |piece| {
        let piece = piece?;
        size += piece.len() as u64;
        if size > largest {
            return Err(std::io::Error::new(
                std::io::ErrorKind::FileTooLarge,
                format!("more than {largest} bytes are not taken"),
            ));
        }
        Ok(piece)
    });
    match shared
        .artifacts
        .append(upload, offset, bounded.boxed())
        .await
    {
        Ok(offset) => Ok(offset),
        Err(ArtifactError::WrongOffset { actual, .. }) => Ok(actual),
        Err(ArtifactError::Body(error)) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            Err(Refusal::new(Fault::Caller, error.to_string()))
        }
        Err(error) => Err(artifact_refusal(error)),
    }
}

/// Drops outputs that an attempt sent and that are of no use.
pub(crate) async fn discard_outputs<'a>(
    shared: &Shared,
    attempt: AttemptId,
    file_hashes: impl Iterator<Item = &'a str>,
) {
    for hash in file_hashes {
        let Ok(upload) = upload_of(attempt, hash) else {
            continue;
        };
        if let Err(error) = shared.artifacts.discard(&upload).await {
            tracing::warn!(%error, %attempt, "an upload stays until the next start");
        }
    }
}

/// Drops outputs of attempts that nobody wants any more.
pub(crate) async fn discard_dropped(shared: &Shared, dropped: &[AttemptId]) {
    let dropped = |name: &str| attempt_of(name).is_some_and(|attempt| dropped.contains(&attempt));
    if let Err(error) = discard(shared, dropped).await {
        tracing::warn!(%error, "uploads of dropped attempts stay until the next start");
    }
}

/// Drops what was sent for attempts that have ended while no coordinator ran, and sources that were
/// cut off.
pub(crate) async fn discard_void_uploads(
    shared: &Shared,
    core: &Core,
) -> Result<(), ArtifactError> {
    let held = held(core);
    let void = |name: &str| match attempt_of(name) {
        Some(attempt) => !held.contains(&attempt),
        None => name.starts_with("source-"),
    };
    discard(shared, void).await
}

/// All attempts that may still decide something.
pub(crate) fn held(core: &Core) -> BTreeSet<AttemptId> {
    let held = core.agents().flat_map(|agent| agent.attempts);
    held.map(|attempt| attempt.record.id).collect()
}

/// The same, and those of unfinished builds that did not end them.
pub(crate) fn remembered(core: &Core) -> BTreeSet<AttemptId> {
    let mut remembered = held(core);
    remembered.extend(core.past_attempts());
    remembered
}

/// Whose log an upload is, if it is one.
pub(crate) fn attempt_of_log(upload: &UploadId) -> Option<AttemptId> {
    is_log(upload)
        .then(|| attempt_of(upload.as_str()))
        .flatten()
}

/// Whose output an upload is, if it is one.
pub(crate) fn attempt_of_output(upload: &UploadId) -> Option<AttemptId> {
    (!is_log(upload))
        .then(|| attempt_of(upload.as_str()))
        .flatten()
}

fn attempt_of(upload: &str) -> Option<AttemptId> {
    let rest = upload.strip_prefix("attempt-")?;
    rest.split('-').next()?.parse().ok()
}

/// Drops uploads, but no logs: that of an attempt whose end nobody reported stays what it is, for
/// whoever asks why a build was slow, or was canceled.
async fn discard(shared: &Shared, which: impl Fn(&str) -> bool) -> Result<(), ArtifactError> {
    let mut uploads = shared.artifacts.uploads();
    let mut void = Vec::new();
    while let Some(upload) = uploads.next().await {
        let upload = upload?;
        if !is_log(&upload) && which(upload.as_str()) {
            void.push(upload);
        }
    }
    drop(uploads);
    for upload in void {
        shared.artifacts.discard(&upload).await?;
    }
    Ok(())
}
