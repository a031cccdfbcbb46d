//! Appending to an upload.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Write};
use std::path::PathBuf;
use std::pin::pin;

use bytes::Bytes;
use futures::future::{Either, select};
use futures::{FutureExt, StreamExt};
use grange_fail_points::{Point, reach};
use grange_interfaces::{ArtifactError, Body};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use crate::error::{at, ended};
use crate::uploads::Held;

/// Bytes that are gathered before they are written. Twice as many may be in memory: what is being
/// written, and what comes meanwhile.
const GATHER: usize = 1 << 20;
/// Pieces that are gathered, however small.
const PIECES: usize = 4096;

/// Appends `body` to the upload's file `path` at `offset`, and returns how long it is then.
pub(crate) async fn append(
    held: Held,
    path: PathBuf,
    offset: u64,
    mut body: Body,
) -> Result<u64, ArtifactError> {
    // A small body is there as a whole: then one visit to another thread is enough.
    let mut part = Part::default();
    if let Some(piece) = body.next().now_or_never() {
        part.gather(piece, &mut body);
    }
    let mut end = part.end;
    let pieces = part.pieces;
    let mut task = spawn_blocking(move || Writing::open(held, path, offset)?.write(&pieces));
    loop {
        if let Some(end) = end {
            let writing = task.await.map_err(ended)??;
            return end.map(|()| writing.length).map_err(ArtifactError::Body);
        }
        let next = pin!(Part::next(&mut body));
        let (part, writing) = match select(next, task).await {
            Either::Left((part, task)) => (part, task.await.map_err(ended)??),
            // A disk that is full is told at once, not when the next piece has come.
            Either::Right((written, next)) => {
                let writing = written.map_err(ended)??;
                (next.await, writing)
            }
        };
        end = part.end;
        task = spawn_blocking(move || writing.write(&part.pieces));
    }
}

/// Some of a body.
#[derive(Default)]
struct Part {
    pieces: Vec<Bytes>,
    /// Whether and how the body ended behind them.
    end: Option<Result<(), Error>>,
}

impl Part {
    /// Waits for a piece and takes those that are there behind it.
    async fn next(body: &mut Body) -> Self {
        let mut part = Self::default();
        let piece = body.next().await;
        part.gather(piece, body);
        part
    }

    fn gather(&mut self, first: Option<Result<Bytes, Error>>, body: &mut Body) {
        let mut size = 0;
        let mut next = Some(first);
        while let Some(piece) = next {
            match piece {
                None => self.end = Some(Ok(())),
                Some(Err(error)) => self.end = Some(Err(error)),
                Some(Ok(piece)) => {
                    size += piece.len();
                    self.pieces.push(piece);
                }
            }
            if self.end.is_some() || size >= GATHER || self.pieces.len() >= PIECES {
                return;
            }
            next = body.next().now_or_never();
        }
    }
}

/// An upload that is being appended to, on a thread that may wait.
struct Writing {
    held: Held,
    path: PathBuf,
    file: File,
    length: u64,
}

impl Writing {
    fn open(mut held: Held, path: PathBuf, offset: u64) -> Result<Self, ArtifactError> {
        if offset == 0 {
            held.comes();
        }
        let opened = OpenOptions::new()
            .append(true)
            .create(offset == 0)
            .open(&path);
        let file = match opened {
            Err(error) if error.kind() == ErrorKind::NotFound && offset > 0 => {
                return Err(ArtifactError::WrongOffset {
                    asked: offset,
                    actual: 0,
                });
            }
            opened => opened.map_err(at("open", &path))?,
        };
        let length = file.metadata().map_err(at("look at", &path))?.len();
        if held.known().is_some_and(|(hashed, _)| *hashed != length) {
            // Somebody else has changed it.
            held.progress().hashed = None;
        }
        if length != offset {
            return Err(ArtifactError::WrongOffset {
                asked: offset,
                actual: length,
            });
        }
        if length == 0 {
            held.progress().hashed = Some((0, Sha256::new()));
        }
        Ok(Self {
            held,
            path,
            file,
            length,
        })
    }

    /// Writes the pieces; what came before an error is kept and counted.
    fn write(mut self, pieces: &[Bytes]) -> Result<Self, ArtifactError> {
        reach(Point::PieceCame);
        for piece in pieces {
            let mut rest = &piece[..];
            while !rest.is_empty() {
                match self.file.write(rest) {
                    Ok(0) => return Err(self.failed(&Error::from(ErrorKind::WriteZero))),
                    Ok(count) => {
                        let (written, behind) = rest.split_at(count);
                        self.length += count as u64;
                        if let Some((length, hasher)) = &mut self.held.progress().hashed {
                            *length += count as u64;
                            hasher.update(written);
                        }
                        rest = behind;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(self.failed(&error)),
                }
            }
        }
        reach(Point::PieceAppended);
        Ok(self)
    }

    fn failed(&mut self, error: &Error) -> ArtifactError {
        let error = at("write to", &self.path)(Error::new(error.kind(), error.to_string()));
        if !matches!(error, ArtifactError::Full) {
            // Who knows what the file holds now: it is read again before it is sealed.
            self.held.progress().hashed = None;
        }
        error
    }
}
