//! Deletes logs that nobody can ask for any more.
//!
//! The log of an attempt whose end nobody reported stays the upload that it was, and is found by the attempt, in the record of
//! a build. An attempt that did not end its build is remembered until then, but not over a start of the coordinator: after that no
//! record names it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use grange_interfaces::{ArtifactError, FinishedFilter, Refusal, Source, UploadId};
use grange_model::AttemptId;

use super::sweep::{PAGE, Swept};
use crate::convert::{artifact_refusal, store_refusal};
use crate::handle::Handle;
use crate::ingest;
use crate::shared::Shared;

/// Looks for logs of attempts that have ended and that no record names, and deletes them if it is told to.
pub(super) async fn sweep(
    shared: &Arc<Shared>,
    handle: &Handle,
    delete: bool,
    swept: &mut Swept,
) -> Result<(), Refusal> {
    let mut uploads = shared.artifacts.uploads();
    loop {
        let logs = some(&mut uploads, shared.config.sweep_chunk).await;
        let logs = logs.map_err(artifact_refusal)?;
        if logs.is_empty() {
            return Ok(());
        }
        sweep_some(shared, handle, delete, logs, swept).await?;
    }
}

/// The same with some of them.
async fn sweep_some(
    shared: &Arc<Shared>,
    handle: &Handle,
    delete: bool,
    mut logs: BTreeMap<AttemptId, UploadId>,
    swept: &mut Swept,
) -> Result<(), Refusal> {
    swept.blobs += logs.len() as u64;
    // Attempts that begin from here on are not among them; those that end are in a record afterwards.
    let known = handle.observe(ingest::remembered).await?;
    logs.retain(|attempt, _| !known.contains(attempt));
    handle.settled().await?;
    keep_named(shared, &mut logs).await?;
    for log in logs.into_values() {
        swept.unreferenced += 1;
        swept.bytes += match shared.artifacts.size(&Source::Upload(log.clone())).await {
            Err(ArtifactError::NotFound(_)) => 0,
            size => size.map_err(artifact_refusal)?,
        };
        if delete {
            shared
                .artifacts
                .discard(&log)
                .await
                .map_err(artifact_refusal)?;
            swept.deleted += 1;
        }
    }
    Ok(())
}

/// The next logs that are not sealed, by attempt; none if there are no more.
async fn some(
    uploads: &mut (impl futures::Stream<Item = Result<UploadId, ArtifactError>> + Unpin),
    most: usize,
) -> Result<BTreeMap<AttemptId, UploadId>, ArtifactError> {
    let mut logs = BTreeMap::new();
    while logs.len() < most.max(1)
        && let Some(upload) = uploads.next().await
    {
        let upload = upload?;
        if let Some(attempt) = ingest::attempt_of_log(&upload) {
            logs.insert(attempt, upload);
        }
    }
    Ok(logs)
}

/// Leaves out those of attempts of finished builds.
async fn keep_named(
    shared: &Shared,
    logs: &mut BTreeMap<AttemptId, UploadId>,
) -> Result<(), Refusal> {
    let (filter, mut after) = (FinishedFilter::default(), None);
    while !logs.is_empty() {
        let page = shared.datastore.finished(&filter, after, PAGE).await;
        let page = page.map_err(store_refusal)?;
        for attempt in page.entries.iter().flat_map(|build| &build.attempts) {
            logs.remove(&attempt.id);
        }
        after = page.entries.last().map(|build| build.build.spec.id);
        if !page.more {
            break;
        }
    }
    Ok(())
}
