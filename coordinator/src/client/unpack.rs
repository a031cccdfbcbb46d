//! Unpacking a compressed nar as it comes.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};
use grange_derivation::nar::{self, FsError};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::ClientError;

/// An item that lies beside its place until it was found to be right. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Unpacked {
    temporary: Temporary,
    place: PathBuf,
    pub(super) file_hash: String,
    pub(super) nar_hash: String,
    pub(super) nar_size: u64,
}

impl Unpacked {
    /// Puts it at its place.
    pub(super) fn keep(self) -> Result<(), ClientError> {
        not_there(&self.place)?;
        fs::rename(&self.temporary.0, &self.place).map_err(cannot_write(&self.place))
    }
}

/// Unpacks what comes beside `place`, and counts and hashes it.
pub(super) fn unpack(pieces: mpsc::Receiver<Bytes>, place: &Path) -> Result<Unpacked, ClientError> {
    not_there(place)?;
    let temporary = Temporary(beside(place));
    let mut file = Hashing::new(Pieces {
        pieces,
        current: Bytes::new(),
    });
    let decoder = zstd::stream::read::Decoder::new(&mut file).map_err(ClientError::Body)?;
    let mut nar = Hashing::new(decoder);
    nar::unpack(&mut nar, &temporary.0).map_err(|error| match error {
        FsError::File { path, source, .. } => ClientError::Write {
            place: path.display().to_string(),
            source,
        },
        FsError::Read(error) => ClientError::Body(error),
        other => {
            let path = place.display().to_string();
            ClientError::Mismatch {
                path,
                what: super::nar_stream::message(&other),
            }
        }
    })?;
    let (nar_hash, nar_size) = (hex(nar.hash), nar.size);
    // The decoder stops at the end of its frame; what follows belongs to the file's hash all the same.
    io::copy(&mut file, &mut io::sink()).map_err(ClientError::Body)?;
    Ok(Unpacked {
        temporary,
        place: place.to_owned(),
        file_hash: hex(file.hash),
        nar_hash,
        nar_size,
    })
}

fn not_there(place: &Path) -> Result<(), ClientError> {
    match fs::symlink_metadata(place) {
        Ok(_) => Err(cannot_write(place)(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is something already",
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cannot_write(place)(error)),
    }
}

fn cannot_write(place: &Path) -> impl FnOnce(io::Error) -> ClientError {
    let place = place.display().to_string();
    move |source| ClientError::Write { place, source }
}

/// A name in the same directory that nothing else uses.
fn beside(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    place.with_file_name(format!(".{name}.{}", uuid::Uuid::new_v4().simple()))
}

fn hex(hash: Sha256) -> String {
    grange_derivation::Hash::from_sha256(hash.finalize().into()).to_base16()
}

/// Removes what lies there when dropped.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let removed = match fs::symlink_metadata(&self.0) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&self.0),
            Ok(_) => fs::remove_file(&self.0),
            Err(_) => Ok(()),
        };
        if let Err(error) = removed {
            tracing::warn!(place = %self.0.display(), %error, "cannot remove what was not fetched completely");
        }
    }
}

/// What comes, as a reader.
struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// Counts and hashes what passes.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    size: u64,
}

impl<R> Hashing<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            size: 0,
        }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.size += count as u64;
        Ok(count)
    }
}
