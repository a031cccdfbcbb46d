//! A recording in a file.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::line::{Cursor, FORMAT, Line};
use crate::read::{LONGEST, first};

/// Where a recording goes.
///
/// # Contract
///
/// What `append` is given are whole lines. After `Ok` they stand behind what stood there before. After an error some of them
/// may: they are given again, and must not stand there twice then.
pub trait Sink: Send + Sync + fmt::Debug {
    /// How far it had come when it was opened; none if nothing was ever appended.
    fn cursor(&self) -> Option<Cursor>;

    /// Appends lines. May block.
    ///
    /// # Errors
    ///
    /// There is no room, or the disk is broken; it may do later.
    fn append(&mut self, lines: &[u8]) -> io::Result<()>;
}

/// A recording in a file, which nobody else appends to meanwhile.
#[derive(Debug)]
pub struct RecordingFile {
    file: File,
    /// Bytes that count: whole lines.
    length: u64,
    cursor: Option<Cursor>,
    limit: u64,
}

/// Why a file cannot be recorded to. It was left as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It cannot be opened or read.
    #[error("it cannot be opened")]
    Io(#[from] io::Error),
    /// It is a directory, a device, a pipe.
    #[error("it is no ordinary file")]
    NoFile,
    /// Another process records to it.
    #[error("another process records to it")]
    InUse,
    /// Something else stands in it.
    #[error("it holds something else than a recording, and is left as it is: {0}")]
    Other(String),
}

/// The least that is read from the end.
const WINDOW: u64 = 64 << 10;

impl RecordingFile {
    /// Opens a file, or makes it. What a process that was killed has left of a last line is cut off.
    ///
    /// # Errors
    ///
    /// It cannot be opened, somebody records to it, or it holds something else.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        // A pipe would wait for somebody who reads.
        if path.metadata().is_ok_and(|it| !it.is_file()) {
            return Err(OpenError::NoFile);
        }
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse),
            // Some file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let length = file.metadata()?.len();
        let begins = read_at(&mut file, 0, WINDOW.min(length))?;
        let Some(end) = begins.iter().position(|byte| *byte == b'\n') else {
            // Who made it was killed, or had no room, before the first line was whole.
            let start = format!("{{\"format\":\"{FORMAT}\"");
            let same = begins.iter().zip(start.as_bytes()).all(|(is, be)| is == be);
            if !same || begins.len() as u64 == WINDOW {
                let what = "its first line is not one of a recording";
                return Err(OpenError::Other(what.to_owned()));
            }
            return Ok(Self {
                file,
                length: 0,
                cursor: None,
                limit: u64::MAX,
            });
        };
        let header = first(&begins[..end]).map_err(OpenError::Other)?;
        let (length, last) = last_line(&mut file, length)?;
        let cursor = if length == end as u64 + 1 {
            header
        } else {
            let last = Line::read(&last);
            let wrong = |error| OpenError::Other(format!("its last line: {error}"));
            last.map_err(wrong)?.cursor
        };
        Ok(Self {
            file,
            length,
            cursor: Some(cursor),
            limit: u64::MAX,
        })
    }

    /// It gets no more than so many bytes: what goes beyond that is refused as if the disk were full.
    #[must_use]
    pub fn at_most(self, bytes: u64) -> Self {
        Self {
            limit: bytes,
            ..self
        }
    }
}

impl Sink for RecordingFile {
    fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        // Whatever a write that failed has left, or a process that was killed.
        if self.length.saturating_add(lines.len() as u64) > self.limit {
            let what = format!("the recording may have {} bytes", self.limit);
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, what));
        }
        let length = self.file.metadata()?.len();
        if length < self.length {
            return Err(io::Error::other("somebody has made it shorter"));
        }
        if length > self.length {
            self.file.set_len(self.length)?;
        }
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(lines)?;
        self.length += lines.len() as u64;
        Ok(())
    }
}

/// Where the last whole line ends, and what stands in it.
fn last_line(file: &mut File, length: u64) -> Result<(u64, Vec<u8>), OpenError> {
    let mut window = WINDOW;
    loop {
        let from = length.saturating_sub(window);
        let bytes = read_at(file, from, length - from)?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let start = end.and_then(|end| {
            let before = bytes[..end].iter().rposition(|byte| *byte == b'\n');
            before.map(|at| at + 1).or_else(|| (from == 0).then_some(0))
        });
        if let Some((start, end)) = start.zip(end) {
            return Ok((from + end as u64 + 1, bytes[start..end].to_vec()));
        }
        if from == 0 || window >= 2 * LONGEST {
            return Err(OpenError::Other("its last line has no end".to_owned()));
        }
        window *= 2;
    }
}

fn read_at(file: &mut File, from: u64, count: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}
