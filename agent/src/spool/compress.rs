//! Compressing an output into a file.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::StreamExt;
use grange_derivation::Hash;
use grange_interfaces::Body;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use zstd::stream::write::Encoder;

/// Nars up to this size, in bytes, are compressed where they are read: that takes less than a
/// millisecond, and another thread would cost more than it saves.
const SMALL: u64 = 256 * 1024;

/// Why an output is not in its file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    /// What was read is not what was announced.
    #[error("the archive of the output cannot be read")]
    Source(#[source] io::Error),
    /// What was read cannot be written.
    #[error("the state directory cannot be written")]
    Disk(#[source] io::Error),
}

/// Compresses `nar`, which has `size` bytes, into a file, and returns SHA-256 (in base 16) and
/// size of that. Memory is bounded, whatever the size is.
pub(crate) async fn compress(
    nar: Body,
    size: u64,
    file: PathBuf,
    level: i32,
) -> Result<(String, u64), SpoolError> {
    if size <= SMALL {
        here(nar, size, &file, level).await
    } else {
        apart(nar, size, file, level).await
    }
}

async fn here(
    mut nar: Body,
    size: u64,
    file: &Path,
    level: i32,
) -> Result<(String, u64), SpoolError> {
    let mut compressor = Compressor::new(file, size, level).map_err(SpoolError::Disk)?;
    while let Some(piece) = nar.next().await {
        compressor.take(&piece.map_err(SpoolError::Source)?)?;
    }
    compressor.finish()
}

async fn apart(
    mut nar: Body,
    size: u64,
    file: PathBuf,
    level: i32,
) -> Result<(String, u64), SpoolError> {
    let (pieces, mut queue) = mpsc::channel::<Bytes>(4);
    let thread = tokio::task::spawn_blocking(move || {
        let mut compressor = Compressor::new(&file, size, level).map_err(SpoolError::Disk)?;
        while let Some(piece) = queue.blocking_recv() {
            compressor.take(&piece)?;
        }
        compressor.finish()
    });
    while let Some(piece) = nar.next().await {
        // If nobody takes it, the thread has ended, and says why.
        if pieces
            .send(piece.map_err(SpoolError::Source)?)
            .await
            .is_err()
        {
            break;
        }
    }
    drop(pieces);
    thread
        .await
        .map_err(|error| SpoolError::Disk(io::Error::other(error)))?
}

struct Compressor {
    encoder: Encoder<'static, HashedFile>,
    /// Bytes that are still to come.
    rest: u64,
}

impl Compressor {
    fn new(path: &Path, size: u64, level: i32) -> io::Result<Self> {
        let file = HashedFile {
            file: File::create(path)?,
            sha256: Sha256::new(),
            size: 0,
        };
        let mut encoder = Encoder::new(file, level)?;
        // Zstandard takes tables as small as the input allows.
        encoder.set_pledged_src_size(Some(size))?;
        Ok(Self {
            encoder,
            rest: size,
        })
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.rest = self
            .rest
            .checked_sub(length)
            .ok_or_else(|| wrong_size("more"))?;
        self.encoder.write_all(piece).map_err(SpoolError::Disk)
    }

    fn finish(self) -> Result<(String, u64), SpoolError> {
        if self.rest > 0 {
            return Err(wrong_size("fewer"));
        }
        let HashedFile { sha256, size, .. } = self.encoder.finish().map_err(SpoolError::Disk)?;
        Ok((
            Hash::from_sha256(sha256.finalize().into()).to_base16(),
            size,
        ))
    }
}

fn wrong_size(how: &str) -> SpoolError {
    let message = format!("it has {how} bytes than the builder said");
    SpoolError::Source(io::Error::new(io::ErrorKind::InvalidData, message))
}

struct HashedFile {
    file: File,
    sha256: Sha256,
    size: u64,
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.size += u64::try_from(written).unwrap_or(u64::MAX);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
