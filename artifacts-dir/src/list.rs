//! Listing what is there.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use grange_interfaces::{ArtifactError, UploadId};
use grange_model::BlobId;
use tokio::task::spawn_blocking;

use crate::error::{at, ended};
use crate::layout::{Layout, blob_named};

/// All blobs, one fan directory after the other.
pub(crate) fn blobs(layout: &Layout) -> BoxStream<'_, Result<BlobId, ArtifactError>> {
    stream::iter(0..=u8::MAX)
        .then(|first| names(layout.fan(first), blob_named))
        .flat_map(stream::iter)
        .boxed()
}

/// All uploads.
pub(crate) fn uploads(layout: &Layout) -> BoxStream<'_, Result<UploadId, ArtifactError>> {
    stream::once(names(layout.uploads(), upload_named))
        .flat_map(stream::iter)
        .boxed()
}

/// The same, at once.
pub(crate) fn uploads_now(layout: &Layout) -> Result<HashSet<UploadId>, ArtifactError> {
    Ok(list(&layout.uploads(), upload_named)?.into_iter().collect())
}

fn upload_named(name: &OsStr) -> Option<UploadId> {
    name.to_str().and_then(UploadId::new)
}

/// What the files in a directory stand for, where they stand for something.
async fn names<T: Send + 'static>(
    directory: PathBuf,
    named: impl Fn(&OsStr) -> Option<T> + Send + 'static,
) -> Vec<Result<T, ArtifactError>> {
    spawn_blocking(move || match list(&directory, named) {
        Ok(found) => found.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    })
    .await
    .unwrap_or_else(|error| vec![Err(ended(error))])
}

fn list<T>(directory: &Path, named: impl Fn(&OsStr) -> Option<T>) -> Result<Vec<T>, ArtifactError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(at("list", directory))? {
        let name = entry.map_err(at("list", directory))?.file_name();
        match named(&name) {
            Some(one) => found.push(one),
            None => {
                tracing::debug!(directory = %directory.display(), ?name, "a file that is not ours")
            }
        }
    }
    Ok(found)
}
