//! A log on disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

use bytes::Bytes;
use grange_fail_points::{Point, reach};
use tokio::sync::Notify;

/// A log that grows at its end while others read it.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    length: Mutex<u64>,
    /// Somebody shall look how long it is now.
    grown: Notify,
}

impl LogFile {
    /// Opens it; it goes on where it ended.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        let length = Mutex::new(file.metadata()?.len());
        Ok(Self {
            file,
            length,
            grown: Notify::new(),
        })
    }

    /// Appends `bytes`. If that fails, nothing was appended.
    pub(crate) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut length = self.length.lock().unwrap_or_else(PoisonError::into_inner);
        self.file.write_all_at(bytes, *length)?;
        *length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        drop(length);
        reach(Point::LogAppended);
        self.grown.notify_one();
        Ok(())
    }

    /// Makes it at least so long. The coordinator has more of the log than lies here if the disk
    /// lost its end in a power cut: what is said from now on comes behind what the coordinator has.
    pub(crate) fn reach(&self, at_least: u64) -> io::Result<()> {
        let mut length = self.length.lock().unwrap_or_else(PoisonError::into_inner);
        if *length < at_least {
            self.file.set_len(at_least)?;
            *length = at_least;
        }
        Ok(())
    }

    pub(crate) fn length(&self) -> u64 {
        *self.length.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At most `limit` bytes from `offset` on.
    pub(crate) fn read(&self, offset: u64, limit: usize) -> io::Result<Bytes> {
        let rest = self.length().saturating_sub(offset);
        let size = usize::try_from(rest).map_or(limit, |rest| rest.min(limit));
        let mut piece = vec![0; size];
        self.file.read_exact_at(&mut piece, offset)?;
        Ok(piece.into())
    }

    /// Returns once it is longer than `length`.
    pub(crate) async fn longer_than(&self, length: u64) {
        while self.length() <= length {
            self.grown.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_where_it_ended_or_where_the_coordinator_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        LogFile::open(&path).unwrap().append(b"one").unwrap();
        let log = LogFile::open(&path).unwrap();
        log.append(b"two").unwrap();
        log.reach(8).unwrap();
        log.reach(2).unwrap();
        log.append(b"\xff").unwrap();
        assert_eq!(log.length(), 9);
        assert_eq!(log.read(1, 100).unwrap(), &b"netwo\0\0\xff"[..]);
        assert_eq!(log.read(0, 2).unwrap(), &b"on"[..]);
        assert_eq!(log.read(9, 2).unwrap(), &b""[..]);
        assert_eq!(log.read(100, 2).unwrap(), &b""[..]);
    }
}
