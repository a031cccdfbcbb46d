//! Sealing an upload as a blob.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::Path;

use grange_fail_points::{Point, reach};
use grange_interfaces::ArtifactError;
use grange_model::BlobId;
use sha2::{Digest, Sha256};

use crate::error::at;
use crate::layout::{Layout, sync};
use crate::uploads::Held;

/// Makes the upload the blob, on a thread that may wait, and returns its length.
pub(crate) fn seal(layout: &Layout, mut held: Held, blob: BlobId) -> Result<u64, ArtifactError> {
    let from = layout.upload(held.upload());
    let to = layout.blob(blob);
    let directory = layout.fan(blob.0[0]);
    let file = match File::open(&from) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            held.progress().hashed = None;
            held.is_gone();
            return match File::open(&to) {
                // The process that renamed it may have ended before that was durable.
                Ok(file) => {
                    durable(&file, &to).and_then(|length| sync(&directory).map(|()| length))
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    Err(ArtifactError::NotFound(format!("upload {}", held.upload())))
                }
                Err(error) => Err(at("open", &to)(error)),
            };
        }
        opened => opened.map_err(at("open", &from))?,
    };
    let length = file.metadata().map_err(at("look at", &from))?.len();
    let actual = match held.known() {
        Some((hashed, hasher)) if *hashed == length => BlobId(hasher.clone().finalize().into()),
        _ => hash(&file, &from)?,
    };
    if actual != blob {
        return Err(ArtifactError::WrongHash {
            expected: blob,
            actual,
        });
    }
    // Should the rename fail, what is known of the file holds still.
    let known = held.progress().hashed.take();
    reach(Point::SealBegun);
    if let Err(error) = durable(&file, &from) {
        return Err(lost(&from, error));
    }
    reach(Point::UploadSynced);
    if let Err(error) = fs::rename(&from, &to) {
        held.progress().hashed = known;
        return Err(at("rename", &from)(error));
    }
    held.is_gone();
    reach(Point::UploadRenamed);
    sync(&directory)?;
    reach(Point::BlobSealed);
    Ok(length)
}

/// An upload that could not be brought to the disk is gone, and is sent again.
///
/// Counter-example: Linux tells of what it could not write once. The bytes are still read from memory with the right
/// hash, and the next `fsync` has nothing to write and succeeds: the blob would be sealed, served, and not be there after
/// a power cut.
fn lost(path: &Path, error: ArtifactError) -> ArtifactError {
    let emptied = |_| {
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(path)
            .map(drop)
    };
    if let Err(why) = fs::remove_file(path).or_else(emptied) {
        tracing::error!(path = %path.display(), error = %why, "an upload that was lost cannot be deleted");
    }
    error
}

fn durable(file: &File, path: &Path) -> Result<u64, ArtifactError> {
    file.sync_all().map_err(at("bring to the disk", path))?;
    Ok(file.metadata().map_err(at("look at", path))?.len())
}

fn hash(mut file: &File, path: &Path) -> Result<BlobId, ArtifactError> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(BlobId(hasher.finalize().into())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(at("read", path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_brought_to_the_disk_is_not_sealed_later() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("upload");
        fs::write(&path, "of which the disk has nothing").unwrap();
        let error = ArtifactError::Io(ErrorKind::StorageFull.into());
        assert!(matches!(lost(&path, error), ArtifactError::Io(_)));
        assert!(!path.exists());
    }
}
