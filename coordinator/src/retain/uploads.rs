//! Deletes what was sent of outputs and not reported.
//!
//! A report seals what it names; what else its attempt has sent stays. There is such: an agent that loses a result, in a power cut, builds
//! anew under the same attempt, and what comes of it may be other bytes, so another upload.

use std::sync::Arc;

use futures::StreamExt;
use grange_interfaces::{ArtifactError, Refusal, Source, UploadId};
use grange_model::AttemptId;

use super::sweep::Swept;
use crate::convert::artifact_refusal;
use crate::handle::Handle;
use crate::ingest;
use crate::shared::Shared;

/// Looks for outputs on their way whose attempts can decide nothing any more, and deletes them if it is told to.
pub(super) async fn sweep(
    shared: &Arc<Shared>,
    handle: &Handle,
    delete: bool,
    swept: &mut Swept,
) -> Result<(), Refusal> {
    let mut uploads = shared.artifacts.uploads();
    loop {
        let sent = some(&mut uploads, shared.config.sweep_chunk).await;
        let sent = sent.map_err(artifact_refusal)?;
        if sent.is_empty() {
            return Ok(());
        }
        swept.blobs += sent.len() as u64;
        // Attempts that begin from here on are not among them.
        let held = handle.observe(ingest::held).await?;
        let ended = sent
            .into_iter()
            .filter(|(attempt, _)| !held.contains(attempt));
        for (_, upload) in ended {
            swept.unreferenced += 1;
            swept.bytes += match shared.artifacts.size(&Source::Upload(upload.clone())).await {
                // Whoever reported it has it sealed meanwhile, or somebody else has dropped it.
                Err(ArtifactError::NotFound(_)) => 0,
                size => size.map_err(artifact_refusal)?,
            };
            if delete {
                let discarded = shared.artifacts.discard(&upload).await;
                discarded.map_err(artifact_refusal)?;
                swept.deleted += 1;
            }
        }
    }
}

/// The next outputs on their way, and whose they are; none if there are no more.
async fn some(
    uploads: &mut (impl futures::Stream<Item = Result<UploadId, ArtifactError>> + Unpin),
    most: usize,
) -> Result<Vec<(AttemptId, UploadId)>, ArtifactError> {
    let mut sent = Vec::new();
    while sent.len() < most.max(1)
        && let Some(upload) = uploads.next().await
    {
        let upload = upload?;
        if let Some(attempt) = ingest::attempt_of_output(&upload) {
            sent.push((attempt, upload));
        }
    }
    Ok(sent)
}
