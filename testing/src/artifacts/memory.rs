//! Uploads and blobs in maps.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use grange_interfaces::{ArtifactError, ArtifactStore, Body, Source, UploadId};
use grange_model::BlobId;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex as AsyncMutex;

/// Bytes in a piece that is read: few, so that tests with little have several.
const PIECE: usize = 1021;

/// An [`ArtifactStore`] in memory, for tests: it fails when told to.
///
/// It is as unhelpful as the contract lets it be: what it reads comes in small pieces of odd
/// length, and a second append to an upload that is being appended to waits.
#[derive(Clone, Debug, Default)]
pub struct MemoryArtifacts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    held: AsyncLocks,
    stored: Mutex<Stored>,
}

type AsyncLocks = Mutex<BTreeMap<UploadId, Arc<AsyncMutex<()>>>>;

#[derive(Debug, Default)]
struct Stored {
    uploads: BTreeMap<UploadId, Vec<u8>>,
    blobs: BTreeMap<BlobId, Bytes>,
    room: Option<u64>,
    failing: u32,
}

impl MemoryArtifacts {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes at most `bytes` more, and is full then; `None`: any number.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.stored().room = bytes;
    }

    /// The next `calls` of `append`, `seal`, `read` or `delete` fail with [`ArtifactError::Io`]
    /// and do nothing.
    pub fn fail(&self, calls: u32) {
        self.stored().failing = calls;
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.0.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self, upload: &UploadId) -> Arc<AsyncMutex<()>> {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(held.entry(upload.clone()).or_default())
    }
}

impl Stored {
    fn may_fail(&mut self) -> Result<(), ArtifactError> {
        if self.failing == 0 {
            return Ok(());
        }
        self.failing -= 1;
        Err(ArtifactError::Io(io::Error::other("an injected fault")))
    }

    /// Appends what there is room for.
    fn append(&mut self, upload: &UploadId, piece: &[u8]) -> Result<(), ArtifactError> {
        let room = self.room.map_or(usize::MAX, |room| {
            usize::try_from(room).unwrap_or(usize::MAX)
        });
        let fits = &piece[..piece.len().min(room)];
        self.uploads
            .entry(upload.clone())
            .or_default()
            .extend_from_slice(fits);
        if let Some(room) = &mut self.room {
            *room -= fits.len() as u64;
        }
        if fits.len() < piece.len() {
            Err(ArtifactError::Full)
        } else {
            Ok(())
        }
    }

    fn length(&self, upload: &UploadId) -> u64 {
        self.uploads
            .get(upload)
            .map_or(0, |bytes| bytes.len() as u64)
    }

    fn bytes(&self, source: &Source) -> Result<&[u8], ArtifactError> {
        let (bytes, name) = match source {
            Source::Blob(blob) => (
                self.blobs.get(blob).map(|bytes| &bytes[..]),
                format!("blob {blob}"),
            ),
            Source::Upload(upload) => (
                self.uploads.get(upload).map(|bytes| &bytes[..]),
                format!("upload {upload}"),
            ),
        };
        bytes.ok_or(ArtifactError::NotFound(name))
    }
}

#[async_trait]
impl ArtifactStore for MemoryArtifacts {
    async fn append(
        &self,
        upload: &UploadId,
        offset: u64,
        mut body: Body,
    ) -> Result<u64, ArtifactError> {
        let lock = self.lock(upload);
        let _held = lock.lock().await;
        {
            let mut stored = self.stored();
            stored.may_fail()?;
            let actual = stored.length(upload);
            if actual != offset {
                return Err(ArtifactError::WrongOffset {
                    asked: offset,
                    actual,
                });
            }
            stored.append(upload, &[])?;
        }
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(ArtifactError::Body)?;
            self.stored().append(upload, &piece)?;
        }
        Ok(self.stored().length(upload))
    }

    async fn offset(&self, upload: &UploadId) -> Result<u64, ArtifactError> {
        Ok(self.stored().length(upload))
    }

    async fn seal(&self, upload: &UploadId, blob: BlobId) -> Result<u64, ArtifactError> {
        let lock = self.lock(upload);
        let _held = lock.lock().await;
        let mut stored = self.stored();
        stored.may_fail()?;
        if let Some(bytes) = stored.uploads.get(upload) {
            let actual = BlobId(Sha256::digest(bytes).into());
            if actual != blob {
                return Err(ArtifactError::WrongHash {
                    expected: blob,
                    actual,
                });
            }
            if let Some(bytes) = stored.uploads.remove(upload) {
                stored.blobs.insert(blob, bytes.into());
            }
        }
        match stored.blobs.get(&blob) {
            Some(bytes) => Ok(bytes.len() as u64),
            None => Err(ArtifactError::NotFound(format!("upload {upload}"))),
        }
    }

    async fn size(&self, source: &Source) -> Result<u64, ArtifactError> {
        Ok(self.stored().bytes(source)?.len() as u64)
    }

    async fn read(&self, source: &Source, range: Range<u64>) -> Result<Body, ArtifactError> {
        let mut stored = self.stored();
        stored.may_fail()?;
        let bytes = stored.bytes(source)?;
        let cut = |place: u64| {
            usize::try_from(place)
                .unwrap_or(usize::MAX)
                .min(bytes.len())
        };
        let range = cut(range.start)..cut(range.end);
        let bytes = Bytes::copy_from_slice(bytes.get(range).unwrap_or_default());
        let pieces: Vec<_> = bytes
            .chunks(PIECE)
            .map(|piece| Ok(bytes.slice_ref(piece)))
            .collect();
        Ok(stream::iter(pieces).boxed())
    }

    async fn file(&self, blob: BlobId) -> Result<Option<File>, ArtifactError> {
        let mut stored = self.stored();
        stored.may_fail()?;
        stored.bytes(&Source::Blob(blob))?;
        Ok(None)
    }

    async fn discard(&self, upload: &UploadId) -> Result<(), ArtifactError> {
        let lock = self.lock(upload);
        let _held = lock.lock().await;
        self.stored().uploads.remove(upload);
        Ok(())
    }

    async fn delete(&self, blob: BlobId) -> Result<(), ArtifactError> {
        let mut stored = self.stored();
        stored.may_fail()?;
        stored.blobs.remove(&blob);
        Ok(())
    }

    fn blobs(&self) -> BoxStream<'_, Result<BlobId, ArtifactError>> {
        let blobs: Vec<_> = self.stored().blobs.keys().copied().map(Ok).collect();
        stream::iter(blobs).boxed()
    }

    fn uploads(&self) -> BoxStream<'_, Result<UploadId, ArtifactError>> {
        let uploads: Vec<_> = self.stored().uploads.keys().cloned().map(Ok).collect();
        stream::iter(uploads).boxed()
    }
}
