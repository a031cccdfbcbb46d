//! Entries, and how they get into the file and out of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use grange::interfaces::StoreError;
use grange::model::{Batch, Seq, Term, decode, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"grnglog1";
/// Bytes before the payload of an entry: its length, what proves that, and what proves the payload.
const HEAD: usize = 16;

/// What is appended at once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Entry {
    /// A term was claimed.
    Claim(Term),
    /// A commit was written.
    Commit(Term, Seq, Batch),
}

/// The open file.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    /// Where the last entry ends that was read or written here.
    end: u64,
}

/// Nobody else writes while this lives.
#[derive(Debug)]
pub(super) struct WriteLock(File);

impl Drop for WriteLock {
    fn drop(&mut self) {
        // It goes with the file at the latest.
        let _ = self.0.unlock();
    }
}

pub(super) fn unavailable(error: &io::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn checksum<const LENGTH: usize>(bytes: &[u8]) -> [u8; LENGTH] {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    let mut first = [0; LENGTH];
    first.copy_from_slice(&hash[..LENGTH]);
    first
}

impl LogFile {
    /// Opens the file, and makes it if there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path)?;
        let mut log = Self { file, end: 0 };
        let _lock = log.lock()?;
        if log.file.metadata()?.len() < MAGIC.len() as u64 {
            // It is new, or its maker was killed before anything was acknowledged.
            log.write(MAGIC)?;
            let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
            // The name of a file is durable once its directory is synced.
            File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
        }
        log.end = 0;
        Ok(log)
    }

    /// Waits until nobody else writes.
    pub(super) fn lock(&self) -> io::Result<WriteLock> {
        let file = self.file.try_clone()?;
        file.lock()?;
        Ok(WriteLock(file))
    }

    /// The entries that came since they were last read. A torn one at the end has not come.
    pub(super) fn read_new(&mut self) -> Result<Vec<Entry>, StoreError> {
        let length = self
            .file
            .metadata()
            .map_err(|error| unavailable(&error))?
            .len();
        let new = usize::try_from(length.saturating_sub(self.end)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; new];
        let read = self.file.read_exact_at(&mut bytes, self.end);
        match read {
            Ok(()) => {}
            // Somebody has cut off a torn entry meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Vec::new()),
            Err(error) => return Err(unavailable(&error)),
        }
        let mut at = 0;
        if self.end == 0 {
            if !bytes.starts_with(MAGIC) {
                return Err(StoreError::Corrupt("the file is something else".into()));
            }
            at = MAGIC.len();
        }
        let mut entries = Vec::new();
        while let Some(payload) = entry_at(&bytes, at)? {
            let entry = decode(payload).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            entries.push(entry);
            at += HEAD + payload.len();
        }
        self.end += at as u64;
        Ok(entries)
    }

    /// Appends an entry, which is durable when this returns. Needs the lock, and that all was read.
    pub(super) fn append(&mut self, entry: &Entry, _: &WriteLock) -> Result<(), StoreError> {
        let payload = encode(entry).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let length = u32::try_from(payload.len())
            .map_err(|_| StoreError::Corrupt("the commit has more than 4 GiB".into()))?;
        let mut bytes = Vec::with_capacity(HEAD + payload.len());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&checksum::<4>(&length.to_le_bytes()));
        bytes.extend_from_slice(&checksum::<8>(&payload));
        bytes.extend_from_slice(&payload);
        self.write(&bytes).map_err(|error| unavailable(&error))
    }

    /// Makes durable what was read: its writer may have failed just before it did so.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|error| unavailable(&error))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // What was torn goes first: else its rest could be taken for an entry.
        if self.file.metadata()?.len() > self.end {
            self.file.set_len(self.end)?;
        }
        self.file.write_all_at(bytes, self.end)?;
        self.file.sync_data()?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// The payload of the entry that begins here; none at the end, or where the end is torn.
///
/// Only the last entry can be torn: those before were synced. What of it did not reach the disk is
/// missing or zero.
fn entry_at(bytes: &[u8], at: usize) -> Result<Option<&[u8]>, StoreError> {
    let damaged = |what: &str| {
        let message = format!("{what} of an entry is damaged");
        Err(StoreError::Corrupt(message))
    };
    let Some((head, rest)) = bytes[at..].split_at_checked(HEAD) else {
        return Ok(None);
    };
    if checksum::<4>(&head[..4]) != head[4..8] {
        let torn = rest.iter().all(|byte| *byte == 0);
        return if torn {
            Ok(None)
        } else {
            damaged("the length")
        };
    }
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let Some((payload, behind)) = rest.split_at_checked(length as usize) else {
        return Ok(None);
    };
    if checksum::<8>(payload) == head[8..] {
        Ok(Some(payload))
    } else if behind.is_empty() {
        Ok(None)
    } else {
        damaged("the payload")
    }
}
