//! Each of these breaks one sentence of the contract, and the case for that sentence fails.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use grange_interfaces::{
    ArtifactError, ArtifactStore, Body, Source, UploadId, bytes_of, empty_body,
};
use grange_model::BlobId;
use grange_testing::MemoryArtifacts;
use grange_testing::conformance::ArtifactsBench;
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
    /// Makes an empty upload of one that is not there, to seal it.
    SealsNothing,
    /// Takes an upload without bytes for none.
    RefusesEmptyOnes,
    /// Reads a byte too much.
    ReadsOn,
    /// Gives all that it reads as one piece.
    ReadsAtOnce,
    /// Reads nothing from what is not there.
    ReadsNothing,
    /// Gives files that hold something else.
    GivesOtherFiles,
    /// Forgets what came before a body broke off, and says that it did not.
    DropsPrefixes,
    /// Says how long an upload was before the last byte came.
    SaysStaleOffsets,
    /// Leaves out the last piece of a body.
    TruncatesBodies,
    /// Takes no more than a mebibyte of a body.
    CutsLargeBodies,
    /// Says how many bytes were appended, not how many there are.
    CountsFromThere,
    /// Waits for ever for an append that was given up.
    StaysLocked,
    /// Has no uploads when it is opened.
    ForgetsUploads,
    /// Has no blobs when it is opened: what it sealed was not written yet.
    ForgetsBlobs,
    /// Leaves the upload where it was when it is sealed.
    KeepsUploads,
    /// Still says how long an upload is that was sealed.
    KeepsLengths,
    /// Names a blob before its bytes are there.
    NamesFirst,
    /// Says that it has deleted a blob.
    DeletesNothing,
    /// Lists all blobs but the first.
    ListsTooFew,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryArtifacts,
    defect: Defect,
    sealing: AtomicBool,
    turn: tokio::sync::Mutex<()>,
    /// Uploads that were sealed, and have not been used again.
    sealed: Mutex<BTreeSet<UploadId>>,
}

struct Bench(MemoryArtifacts, Defect);

impl ArtifactsBench for Bench {
    type Store = Broken;

    async fn open(&self) -> Arc<Broken> {
        let (inner, defect) = (self.0.clone(), self.1);
        if defect == Defect::ForgetsUploads {
            let uploads: Vec<_> = inner.uploads().try_collect().await.unwrap();
            for upload in uploads {
                inner.discard(&upload).await.unwrap();
            }
        }
        if defect == Defect::ForgetsBlobs {
            let blobs: Vec<_> = inner.blobs().try_collect().await.unwrap();
            for blob in blobs {
                inner.delete(blob).await.unwrap();
            }
        }
        Arc::new(Broken {
            inner,
            defect,
            sealing: AtomicBool::new(false),
            turn: tokio::sync::Mutex::default(),
            sealed: Mutex::default(),
        })
    }
}

impl Broken {
    async fn has(&self, blob: BlobId) -> bool {
        self.inner.size(&Source::Blob(blob)).await.is_ok()
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
            Defect::TruncatesBodies => {
                let mut pieces: Vec<_> = body.collect().await;
                if pieces.last().is_some_and(Result::is_ok) && pieces.len() > 1 {
                    pieces.pop();
                }
                let body = stream::iter(pieces).boxed();
                self.inner.append(upload, offset, body).await
            }
            Defect::CutsLargeBodies => {
                let mut left = 1_usize << 20;
                let fits = move |piece: &std::io::Result<Bytes>| {
                    left = left.saturating_sub(piece.as_ref().map_or(0, Bytes::len));
                    std::future::ready(left > 0)
                };
                let body = body.take_while(fits).boxed();
                self.inner.append(upload, offset, body).await
            }
            Defect::CountsFromThere => Ok(self.inner.append(upload, offset, body).await? - offset),
            Defect::StaysLocked => {
                let turn = ManuallyDrop::new(self.turn.lock().await);
                let done = self.inner.append(upload, offset, body).await;
                drop(ManuallyDrop::into_inner(turn));
                done
            }
            _ => self.inner.append(upload, offset, body).await,
        }
    }

    async fn offset(&self, upload: &UploadId) -> Result<u64, ArtifactError> {
        let stale = u64::from(self.defect == Defect::SaysStaleOffsets);
        Ok(self.inner.offset(upload).await?.saturating_sub(stale))
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
            Defect::SealsNothing | Defect::RefusesEmptyOnes
                if self.inner.offset(upload).await? == 0 && !self.has(blob).await =>
            {
                if self.defect == Defect::RefusesEmptyOnes {
                    return Err(ArtifactError::NotFound(upload.to_string()));
                }
                let empty = stream::empty().boxed();
                self.inner.append(upload, 0, empty).await?;
                self.inner.seal(upload, blob).await
            }
            Defect::KeepsLengths => {
                self.sealed.lock().unwrap().insert(upload.clone());
                self.inner.seal(upload, blob).await
            }
            Defect::KeepsUploads if self.inner.offset(upload).await? > 0 => {
                let source = Source::Upload(upload.clone());
                let again = self.inner.read(&source, 0..u64::MAX).await?;
                let length = self.inner.seal(upload, blob).await?;
                self.inner.append(upload, 0, again).await?;
                Ok(length)
            }
            Defect::NamesFirst => {
                self.sealing.store(true, Ordering::SeqCst);
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                let sealed = self.inner.seal(upload, blob).await;
                self.sealing.store(false, Ordering::SeqCst);
                sealed
            }
            _ => self.inner.seal(upload, blob).await,
        }
    }

    async fn size(&self, source: &Source) -> Result<u64, ArtifactError> {
        if self.sealing.load(Ordering::SeqCst) {
            return Ok(0);
        }
        let size = self.inner.size(source).await;
        match source {
            Source::Upload(upload) if self.sealed.lock().unwrap().contains(upload) => {
                Ok(size.unwrap_or(0))
            }
            _ => size,
        }
    }

    async fn read(&self, source: &Source, range: Range<u64>) -> Result<Body, ArtifactError> {
        let more = u64::from(self.defect == Defect::ReadsOn);
        let range = range.start..range.end.saturating_add(more);
        let read = self.inner.read(source, range).await;
        match (self.defect, read) {
            (Defect::ReadsNothing, Err(ArtifactError::NotFound(_))) => Ok(empty_body()),
            (Defect::ReadsAtOnce, Ok(body)) => {
                let bytes = bytes_of(body, usize::MAX).await;
                Ok(stream::iter([bytes]).boxed())
            }
            (_, read) => read,
        }
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
        self.sealed.lock().unwrap().remove(upload);
        self.inner.discard(upload).await
    }

    async fn delete(&self, blob: BlobId) -> Result<(), ArtifactError> {
        if self.defect == Defect::DeletesNothing {
            return Ok(());
        }
        self.inner.delete(blob).await
    }

    fn blobs(&self) -> BoxStream<'_, Result<BlobId, ArtifactError>> {
        let less = usize::from(self.defect == Defect::ListsTooFew);
        self.inner.blobs().skip(less).boxed()
    }

    fn uploads(&self) -> BoxStream<'_, Result<UploadId, ArtifactError>> {
        self.inner.uploads()
    }
}

crate::found! {
    artifacts, |defect| Bench(MemoryArtifacts::new(), defect);
    none: None => [];
    an_ignored_offset: IgnoresOffsets => [
        append_begins_where_the_upload_ends,
        a_body_that_breaks_off_leaves_a_prefix,
        an_append_that_is_given_up_leaves_a_prefix,
    ];
    a_length_from_there: CountsFromThere => [
        append_returns_the_length,
        a_body_that_breaks_off_leaves_a_prefix,
        an_append_that_is_given_up_leaves_a_prefix,
    ];
    a_stale_offset: SaysStaleOffsets => [
        append_returns_the_length,
        append_begins_where_the_upload_ends,
        a_body_that_breaks_off_leaves_a_prefix,
        an_append_that_is_given_up_leaves_a_prefix,
        an_upload_survives_its_process,
        seal_refuses_other_bytes,
    ];
    mixed_appends: MixesAppends => [
        appends_are_never_mixed,
        an_empty_blob_is_a_blob,
    ];
    a_truncated_body: TruncatesBodies => [
        append_returns_the_length,
        append_begins_where_the_upload_ends,
        appends_are_never_mixed,
        a_body_that_breaks_off_leaves_a_prefix,
        an_append_that_is_given_up_leaves_a_prefix,
        an_upload_survives_its_process,
        seal_makes_a_blob,
        a_blob_is_there_as_a_whole,
        seal_survives_its_process,
        seal_refuses_other_bytes,
        sealing_again_succeeds,
        ranges_are_cut,
        large_bodies_stream,
        a_file_is_its_blob,
    ];
    a_large_body_that_is_cut: CutsLargeBodies => [large_bodies_stream];
    a_dropped_prefix: DropsPrefixes => [a_body_that_breaks_off_leaves_a_prefix];
    a_lock_that_is_left: StaysLocked => [an_append_that_is_given_up_leaves_a_prefix];
    forgotten_uploads: ForgetsUploads => [an_upload_survives_its_process];
    a_believed_hash: Believes => [seal_refuses_other_bytes];
    a_refused_second_seal: SealsOnce => [
        sealing_again_succeeds,
        an_empty_blob_is_a_blob,
    ];
    nothing_that_is_sealed: SealsNothing => [nothing_is_sealed_from_nothing];
    nothing_that_is_not_sealed: RefusesEmptyOnes => [an_empty_blob_is_a_blob];
    an_upload_that_stays: KeepsUploads => [
        seal_makes_a_blob,
        seal_survives_its_process,
        sealing_again_succeeds,
        delete_and_discard_are_for_good,
        lists_are_complete,
    ];
    a_length_that_stays: KeepsLengths => [seal_makes_a_blob];
    blobs_that_are_not_durable: ForgetsBlobs => [seal_survives_its_process];
    half_a_blob: NamesFirst => [a_blob_is_there_as_a_whole];
    a_range_that_is_too_long: ReadsOn => [ranges_are_cut];
    one_large_piece: ReadsAtOnce => [large_bodies_stream];
    bytes_of_nothing: ReadsNothing => [what_is_not_there_is_not_found];
    what_is_deleted_and_stays: DeletesNothing => [
        delete_and_discard_are_for_good,
        a_file_is_its_blob,
    ];
    a_list_that_is_too_short: ListsTooFew => [lists_are_complete];
    a_file_with_other_bytes: GivesOtherFiles => [a_file_is_its_blob];
}
