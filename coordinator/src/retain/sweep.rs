//! Deletes blobs, logs, and outputs on their way, that no record names.
//!
//! Such blobs are outputs of attempts that were void when their report was taken, of a second try
//! that did not become canonical, or of a coordinator that was killed between sealing and
//! committing.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use grange_fail_points::{Point, reach};
use grange_interfaces::{ArtifactError, FinishedFilter, Refusal, Source};
use grange_model::BlobId;

use super::pins::{Candidates, Doomed};
use super::{logs, uploads};
use crate::convert::{artifact_refusal, store_refusal};
use crate::handle::Handle;
use crate::shared::Shared;

/// How many records are read at once.
pub(super) const PAGE: usize = 1_000;

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// How many blobs it looked at, and logs and outputs that are no blobs yet.
    pub blobs: u64,
    /// How many of them no record named.
    pub unreferenced: u64,
    /// The bytes of those.
    pub bytes: u64,
    /// How many it deleted: all of those, unless it was only to look.
    pub deleted: u64,
}

/// Looks for blobs that no record names, and deletes them if it is told to. At most
/// `sweep_chunk` of them are held in memory; the records are read once for so many.
pub(crate) async fn sweep(
    shared: &Arc<Shared>,
    handle: &Handle,
    delete: bool,
) -> Result<Swept, Refusal> {
    let candidates = shared.pins.begin_sweep().ok_or_else(|| {
        Refusal::busy(
            "another sweep of the artifacts is under way",
            Duration::from_secs(10),
        )
    })?;
    let mut swept = Swept::default();
    let mut blobs = shared.artifacts.blobs();
    loop {
        let ended = collect(
            &candidates,
            &mut blobs,
            shared.config.sweep_chunk,
            &mut swept,
        )
        .await?;
        // What was pinned, and is not any more, may be in a commit that is under way. From here on
        // it is durable, and what comes later is pinned later.
        handle.settled().await?;
        keep_named(shared, &candidates).await?;
        while let Some(doomed) = candidates.next() {
            let size = size(shared, doomed.blob).await?;
            swept.unreferenced += 1;
            swept.bytes += size;
            if delete {
                remove(shared, doomed).await?;
                swept.deleted += 1;
            }
        }
        if ended {
            logs::sweep(shared, handle, delete, &mut swept).await?;
            uploads::sweep(shared, handle, delete, &mut swept).await?;
            return Ok(swept);
        }
    }
}

/// Takes up to so many blobs as candidates; whether there are no more.
async fn collect(
    candidates: &Candidates,
    blobs: &mut (impl futures::Stream<Item = Result<BlobId, ArtifactError>> + Unpin),
    most: usize,
    swept: &mut Swept,
) -> Result<bool, Refusal> {
    while candidates.len() < most.max(1) {
        let Some(blob) = blobs.next().await else {
            return Ok(true);
        };
        candidates.add(blob.map_err(artifact_refusal)?);
        swept.blobs += 1;
    }
    Ok(false)
}

/// Items and finished builds are all that names a blob: attempts of unfinished builds that have a
/// log end their build in the same commit, and builds that can be reopened have none.
async fn keep_named(shared: &Shared, candidates: &Candidates) -> Result<(), Refusal> {
    let mut after = None;
    while candidates.len() > 0 {
        let page = shared.datastore.items(after, PAGE).await;
        let page = page.map_err(store_refusal)?;
        candidates.keep(page.entries.iter().map(|item| item.blob));
        after = page.entries.last().map(|item| item.item.digest);
        if !page.more {
            break;
        }
    }
    let (filter, mut after) = (FinishedFilter::default(), None);
    while candidates.len() > 0 {
        let page = shared.datastore.finished(&filter, after, PAGE).await;
        let page = page.map_err(store_refusal)?;
        let attempts = page.entries.iter().flat_map(|build| &build.attempts);
        candidates.keep(attempts.filter_map(|attempt| attempt.log));
        after = page.entries.last().map(|build| build.build.spec.id);
        if !page.more {
            break;
        }
    }
    Ok(())
}

pub(super) async fn size(shared: &Shared, blob: BlobId) -> Result<u64, Refusal> {
    match shared.artifacts.size(&Source::Blob(blob)).await {
        Err(ArtifactError::NotFound(_)) => Ok(0),
        size => size.map_err(artifact_refusal),
    }
}

/// Deletes a blob. Whoever gives up waiting for that does not let pins pass while it goes on.
async fn remove(shared: &Arc<Shared>, doomed: Doomed) -> Result<(), Refusal> {
    let shared = Arc::clone(shared);
    let work = tokio::spawn(async move {
        reach(Point::BlobDoomed);
        let deleted = shared.artifacts.delete(doomed.blob).await;
        drop(doomed);
        deleted
    });
    let failed = |error| artifact_refusal(ArtifactError::Io(std::io::Error::other(error)));
    work.await.map_err(failed)?.map_err(artifact_refusal)
}
