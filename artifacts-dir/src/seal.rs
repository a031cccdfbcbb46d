//! Sealing an upload as a blob.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

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
    // Should this fail, the file may hold something else: it is read again the next time.
    let known = held.progress().hashed.take();
    durable(&file, &from)?;
    if let Err(error) = fs::rename(&from, &to) {
        held.progress().hashed = known;
        return Err(at("rename", &from)(error));
    }
    sync(&directory)?;
    Ok(length)
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
