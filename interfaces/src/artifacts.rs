//! Where nars, sources and logs lie.

use std::fmt;
use std::fs::File;
use std::ops::Range;

use async_trait::async_trait;
use futures::stream::BoxStream;
use grange_model::BlobId;

use crate::Body;

/// The name of an upload: chosen by the caller, 1 to 200 of the characters `a-z0-9.-`, not
/// beginning with a dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(String);

impl UploadId {
    /// An upload's name, if `text` is one.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let good =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        let fits = (1..=200).contains(&text.len()) && !text.starts_with('.');
        (fits && text.bytes().all(good)).then_some(Self(text))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A sealed blob.
    Blob(BlobId),
    /// What an upload has so far.
    Upload(UploadId),
}

/// Why an artifact store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// There is no such upload or blob.
    #[error("there is no {0}")]
    NotFound(String),
    /// An append begins elsewhere than where the upload ends.
    #[error("the upload has {actual} bytes and cannot go on at {asked}")]
    WrongOffset {
        /// Where the caller wanted to go on.
        asked: u64,
        /// Where the upload ends.
        actual: u64,
    },
    /// The bytes of an upload are not those of the blob it was to become.
    #[error("the upload's bytes have the hash {actual}, not {expected}")]
    WrongHash {
        /// What the caller said.
        expected: BlobId,
        /// What it is.
        actual: BlobId,
    },
    /// No room. Nothing of what was acknowledged is lost.
    #[error("the disk is full")]
    Full,
    /// The body that was to be appended broke off. What came before is kept.
    #[error("the body broke off")]
    Body(#[source] std::io::Error),
    /// The disk, or what stands for it, failed.
    #[error("the artifact store failed")]
    Io(#[source] std::io::Error),
}

/// Bytes only: uploads that grow at their end, and blobs that never change.
///
/// # Contract
///
/// * `append` returns the new length. What it acknowledged survives a crash of the process; what
///   survives a power cut is said by `offset` afterwards, and `seal` makes all of it durable.
/// * Appends to one upload never run at once: a second call waits or is refused, and none is mixed
///   into another. An append that is cut off keeps a prefix of its body.
/// * `seal` is durable when it returns: bytes and name survive a power cut. It computes the hash
///   itself and refuses bytes that do not match. Sealing what is sealed already succeeds, and the
///   upload is gone. Sealing an upload that does not exist succeeds if the blob exists.
/// * A blob has all of its bytes or does not exist.
/// * A file from `file` holds the blob's bytes and nothing else, and keeps them also when the blob
///   is deleted meanwhile.
/// * `delete` and `discard` of what does not exist succeed.
/// * One coordinator uses it at a time: its sweep takes a blob that another one has just sealed for
///   one that nobody names. A store that several can reach refuses the second, as a directory does.
#[async_trait]
pub trait ArtifactStore: Send + Sync + fmt::Debug {
    /// Appends `body` to the upload, which has `offset` bytes before (0 makes a new one), and
    /// returns how many it has now.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::WrongOffset`], [`ArtifactError::Full`], [`ArtifactError::Body`] (a prefix
    /// is kept), [`ArtifactError::Io`].
    async fn append(
        &self,
        upload: &UploadId,
        offset: u64,
        body: Body,
    ) -> Result<u64, ArtifactError>;

    /// How many bytes the upload has; 0 if there is none.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::Io`].
    async fn offset(&self, upload: &UploadId) -> Result<u64, ArtifactError>;

    /// Makes the upload the blob of this name, and returns its length in bytes.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::NotFound`], [`ArtifactError::WrongHash`] (the upload stays),
    /// [`ArtifactError::Full`], [`ArtifactError::Io`].
    async fn seal(&self, upload: &UploadId, blob: BlobId) -> Result<u64, ArtifactError>;

    /// How long it is, in bytes.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::NotFound`], [`ArtifactError::Io`].
    async fn size(&self, source: &Source) -> Result<u64, ArtifactError>;

    /// The bytes in `range`, which is cut to what is there.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::NotFound`], [`ArtifactError::Io`]; later ones come in the body.
    async fn read(&self, source: &Source, range: Range<u64>) -> Result<Body, ArtifactError>;

    /// A sealed blob as a file of its own, if it lies in one: for servers that let the kernel send
    /// it. None from stores that have no files.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::NotFound`], [`ArtifactError::Io`].
    async fn file(&self, blob: BlobId) -> Result<Option<File>, ArtifactError>;

    /// Drops an upload.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::Io`].
    async fn discard(&self, upload: &UploadId) -> Result<(), ArtifactError>;

    /// Deletes a blob.
    ///
    /// # Errors
    ///
    /// [`ArtifactError::Io`].
    async fn delete(&self, blob: BlobId) -> Result<(), ArtifactError>;

    /// All blobs, in no order. Those that come or go meanwhile may or may not be among them.
    fn blobs(&self) -> BoxStream<'_, Result<BlobId, ArtifactError>>;

    /// All uploads, in no order.
    fn uploads(&self) -> BoxStream<'_, Result<UploadId, ArtifactError>>;
}
