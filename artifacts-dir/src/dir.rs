//! The handle.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use grange_fail_points::{Point, reach};
use grange_interfaces::{ArtifactError, ArtifactStore, Body, Source, UploadId};
use grange_model::BlobId;
use tokio::task::spawn_blocking;

use crate::append::append;
use crate::error::{at, ended};
use crate::layout::{Layout, name_of};
use crate::list;
use crate::read;
use crate::seal::seal;
use crate::sealed::Sealed;
use crate::uploads::Uploads;

/// An [`ArtifactStore`] in a directory. Its methods want a tokio runtime.
///
/// No second process can use the directory until this is dropped and what it has begun is ended.
#[derive(Debug)]
pub struct ArtifactsDir {
    layout: Layout,
    uploads: Arc<Uploads>,
    sealed: Sealed,
}

impl ArtifactsDir {
    /// Opens the directory, and makes it if it is not there; its parent has to be there.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::Io`] with [`ErrorKind::ResourceBusy`] if another process uses it;
    /// [`ArtifactError::Full`]; [`ArtifactError::Io`] if it cannot be made or written to.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ArtifactError> {
        let layout = Layout::make(path.as_ref())?;
        let path = layout.lock();
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(at("open", &path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => at("lock", &path)(error),
            TryLockError::WouldBlock => {
                let used = io::Error::new(
                    ErrorKind::ResourceBusy,
                    "another process uses the directory",
                );
                at("lock", &path)(used)
            }
        })?;
        let files = list::uploads_now(&layout)?;
        Ok(Self {
            layout,
            uploads: Arc::new(Uploads::new(lock, files)),
            sealed: Sealed::default(),
        })
    }

    /// Fails if it is known without a look at the disk that there is nothing.
    fn check_there(&self, source: &Source) -> Result<(), ArtifactError> {
        match source {
            Source::Upload(upload) if !self.uploads.may_be_there(upload) => {
                Err(ArtifactError::NotFound(name_of(source)))
            }
            _ => Ok(()),
        }
    }

    /// Does `work` on a thread that may wait; the directory stays locked until it is done.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Layout) -> Result<T, ArtifactError> + Send + 'static,
    ) -> Result<T, ArtifactError> {
        let (layout, uploads) = (self.layout.clone(), Arc::clone(&self.uploads));
        let work = move || {
            let done = work(&layout);
            drop(uploads);
            done
        };
        spawn_blocking(work).await.map_err(ended)?
    }
}

#[async_trait]
impl ArtifactStore for ArtifactsDir {
    async fn append(
        &self,
        upload: &UploadId,
        offset: u64,
        body: Body,
    ) -> Result<u64, ArtifactError> {
        let held = self.uploads.hold(upload).await;
        append(held, self.layout.upload(upload), offset, body).await
    }

    async fn offset(&self, upload: &UploadId) -> Result<u64, ArtifactError> {
        let source = Source::Upload(upload.clone());
        match self.size(&source).await {
            Err(ArtifactError::NotFound(_)) => Ok(0),
            size => size,
        }
    }

    async fn seal(&self, upload: &UploadId, blob: BlobId) -> Result<u64, ArtifactError> {
        let held = self.uploads.hold(upload).await;
        // It lies durable under its name already, and nothing is there to become it.
        if let Some(length) = self.sealed.length(blob)
            && !self.uploads.may_be_there(upload)
        {
            return Ok(length);
        }
        let begun = self.sealed.begin();
        let length = self.on_disk(move |layout| seal(layout, held, blob)).await?;
        self.sealed.add(begun, blob, length);
        Ok(length)
    }

    async fn size(&self, source: &Source) -> Result<u64, ArtifactError> {
        self.check_there(source)?;
        let source = source.clone();
        self.on_disk(move |layout| read::size(layout, &source))
            .await
    }

    async fn read(&self, source: &Source, range: Range<u64>) -> Result<Body, ArtifactError> {
        self.check_there(source)?;
        read::read(&self.layout, source, range).await
    }

    async fn file(&self, blob: BlobId) -> Result<Option<File>, ArtifactError> {
        if let Some(file) = read::file_at_hand(&self.layout, blob) {
            return Ok(Some(file));
        }
        let opened = self.on_disk(move |layout| read::file(layout, blob)).await?;
        Ok(Some(opened))
    }

    async fn discard(&self, upload: &UploadId) -> Result<(), ArtifactError> {
        let mut held = self.uploads.hold(upload).await;
        self.on_disk(move |layout| {
            held.progress().hashed = None;
            reach(Point::UploadDiscarding);
            remove(&layout.upload(held.upload()))?;
            held.is_gone();
            reach(Point::UploadDiscarded);
            Ok(())
        })
        .await
    }

    async fn delete(&self, blob: BlobId) -> Result<(), ArtifactError> {
        self.sealed.forget(blob);
        let deleted = self.on_disk(move |layout| {
            remove(&layout.blob(blob))?;
            reach(Point::BlobDeleted);
            Ok(())
        });
        let deleted = deleted.await;
        self.sealed.forget(blob);
        deleted
    }

    fn blobs(&self) -> BoxStream<'_, Result<BlobId, ArtifactError>> {
        list::blobs(&self.layout)
    }

    fn uploads(&self) -> BoxStream<'_, Result<UploadId, ArtifactError>> {
        list::uploads(&self.layout)
    }
}

fn remove(path: &Path) -> Result<(), ArtifactError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(at("remove", path)),
    }
}
