//! Each of these breaks one sentence of the contract, and the case for that sentence fails.

use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use grange_interfaces::{ArtifactError, ArtifactStore, Body, Source, UploadId, bytes_of};
use grange_model::BlobId;
use grange_testing::MemoryArtifacts;
use grange_testing::conformance::{ArtifactsBench, artifacts, run};
use sha2::{Digest, Sha256};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing: no case fails.
    None,
    /// Appends wherever the upload ends.
    IgnoresOffsets,
    /// Appends piece by piece, whoever else does.
    MixesAppends,
    /// Believes what it is told about the hash.
    Believes,
    /// Refuses to seal what is sealed already.
    SealsOnce,
    /// Reads a byte too much.
    ReadsOn,
    /// Gives files that hold something else.
    GivesOtherFiles,
    /// Forgets what came before a body broke off, and says that it did not.
    DropsPrefixes,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryArtifacts,
    defect: Defect,
}

struct Bench(MemoryArtifacts, Defect);

impl ArtifactsBench for Bench {
    type Store = Broken;

    async fn open(&self) -> Arc<Broken> {
        Arc::new(Broken {
            inner: self.0.clone(),
            defect: self.1,
        })
    }
}

#[async_trait]
impl ArtifactStore for Broken {
    async fn append(
        &self,
        upload: &UploadId,
        offset: u64,
        body: Body,
    ) -> Result<u64, ArtifactError> {
        match self.defect {
            Defect::IgnoresOffsets => {
                let end = self.inner.offset(upload).await?;
                self.inner.append(upload, end, body).await
            }
            Defect::MixesAppends => {
                let mut end = self.inner.offset(upload).await?;
                if end != offset {
                    return Err(ArtifactError::WrongOffset {
                        asked: offset,
                        actual: end,
                    });
                }
                let mut body = body;
                while let Some(piece) = body.next().await {
                    let piece = stream::iter([piece]).boxed();
                    end = self.inner.offset(upload).await?;
                    end = self.inner.append(upload, end, piece).await?;
                }
                Ok(end)
            }
            Defect::DropsPrefixes => {
                let done = self.inner.append(upload, offset, body).await;
                if matches!(done, Err(ArtifactError::Body(_))) {
                    let kept = self
                        .inner
                        .read(&Source::Upload(upload.clone()), 1..u64::MAX)
                        .await?;
                    self.inner.discard(upload).await?;
                    self.inner.append(upload, 0, kept).await?;
                }
                done
            }
            _ => self.inner.append(upload, offset, body).await,
        }
    }

    async fn offset(&self, upload: &UploadId) -> Result<u64, ArtifactError> {
        self.inner.offset(upload).await
    }

    async fn seal(&self, upload: &UploadId, blob: BlobId) -> Result<u64, ArtifactError> {
        match self.defect {
            Defect::Believes if self.inner.offset(upload).await? > 0 => {
                let source = Source::Upload(upload.clone());
                let body = self.inner.read(&source, 0..u64::MAX).await?;
                let bytes = bytes_of(body, usize::MAX)
                    .await
                    .map_err(ArtifactError::Io)?;
                self.inner
                    .seal(upload, BlobId(Sha256::digest(&bytes).into()))
                    .await
            }
            Defect::SealsOnce if self.inner.offset(upload).await? == 0 => {
                Err(ArtifactError::NotFound(upload.to_string()))
            }
            _ => self.inner.seal(upload, blob).await,
        }
    }

    async fn size(&self, source: &Source) -> Result<u64, ArtifactError> {
        self.inner.size(source).await
    }

    async fn read(&self, source: &Source, range: Range<u64>) -> Result<Body, ArtifactError> {
        let more = u64::from(self.defect == Defect::ReadsOn);
        self.inner
            .read(source, range.start..range.end.saturating_add(more))
            .await
    }

    async fn file(&self, blob: BlobId) -> Result<Option<File>, ArtifactError> {
        if self.defect != Defect::GivesOtherFiles {
            return self.inner.file(blob).await;
        }
        let mut file = tempfile::tempfile().map_err(ArtifactError::Io)?;
        file.write_all(b"other").map_err(ArtifactError::Io)?;
        Ok(Some(file))
    }

    async fn discard(&self, upload: &UploadId) -> Result<(), ArtifactError> {
        self.inner.discard(upload).await
    }

    async fn delete(&self, blob: BlobId) -> Result<(), ArtifactError> {
        self.inner.delete(blob).await
    }

    fn blobs(&self) -> BoxStream<'_, Result<BlobId, ArtifactError>> {
        self.inner.blobs()
    }

    fn uploads(&self) -> BoxStream<'_, Result<UploadId, ArtifactError>> {
        self.inner.uploads()
    }
}

/// Whether the case fails on a store with this defect, and does not without.
fn finds<F: Future<Output = ()>>(defect: Defect, case: impl Fn(&'static Bench) -> F) -> bool {
    let fails = |defect| {
        // Cases borrow their bench; a test may leak one.
        let bench = Box::leak(Box::new(Bench(MemoryArtifacts::new(), defect)));
        catch_unwind(AssertUnwindSafe(|| run(case(bench)))).is_err()
    };
    assert!(
        !fails(Defect::None),
        "the case fails on a store without a defect"
    );
    fails(defect)
}

#[test]
fn an_ignored_offset_is_found() {
    assert!(finds(Defect::IgnoresOffsets, |bench| {
        artifacts::append_begins_where_the_upload_ends(bench)
    }));
}

#[test]
fn mixed_appends_are_found() {
    assert!(finds(
        Defect::MixesAppends,
        artifacts::appends_are_never_mixed
    ));
}

#[test]
fn a_believed_hash_is_found() {
    assert!(finds(Defect::Believes, artifacts::seal_refuses_other_bytes));
}

#[test]
fn a_refused_second_seal_is_found() {
    assert!(finds(Defect::SealsOnce, artifacts::sealing_again_succeeds));
}

#[test]
fn a_range_that_is_too_long_is_found() {
    assert!(finds(Defect::ReadsOn, artifacts::ranges_are_cut));
}

#[test]
fn a_dropped_prefix_is_found() {
    assert!(finds(Defect::DropsPrefixes, |bench| {
        artifacts::a_body_that_breaks_off_leaves_a_prefix(bench)
    }));
}

#[test]
fn a_file_with_other_bytes_is_found() {
    assert!(finds(
        Defect::GivesOtherFiles,
        artifacts::a_file_is_its_blob
    ));
}
