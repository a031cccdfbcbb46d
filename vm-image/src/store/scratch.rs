//! Places to work in, and locks.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use tempfile::TempDir;

use super::ImageStore;
use crate::error::{ImageError, at};

/// A directory that goes when it is dropped, or when the store is opened after a crash.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: TempDir,
    /// Shared with all that work in the store. After the directory, which is removed first.
    _lock: File,
}

impl Scratch {
    pub(crate) fn new(store: &ImageStore) -> Result<Self, ImageError> {
        let lock = open(store, "scratch")?;
        lock.lock_shared()
            .map_err(at("lock", &store.path("scratch.lock")))?;
        let base = store.path("scratch");
        let directory = tempfile::Builder::new()
            .prefix("at-")
            .tempdir_in(&base)
            .map_err(at("make a directory in", &base))?;
        Ok(Self {
            directory,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Removes what a crash has left, unless somebody works in the store: then that is for the next time.
pub(super) fn sweep(store: &ImageStore) -> Result<(), ImageError> {
    let path = store.path("scratch.lock");
    let lock = open(store, "scratch")?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(at("lock", &path)(error)),
    }
    let base = store.path("scratch");
    for entry in fs::read_dir(&base).map_err(at("read", &base))? {
        let path = entry.map_err(at("read", &base))?.path();
        fs::remove_dir_all(&path).map_err(at("remove", &path))?;
    }
    Ok(())
}

/// Waits until nobody else has the lock `what`. It is given back when the file is dropped.
pub(crate) fn lock(store: &ImageStore, what: &str) -> Result<File, ImageError> {
    let file = open(store, what)?;
    file.lock().map_err(at("lock", store.directory()))?;
    Ok(file)
}

/// The lock `what`, unless somebody else has it.
pub(crate) fn try_lock(store: &ImageStore, what: &str) -> Result<Option<File>, ImageError> {
    let file = open(store, what)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(at("lock", store.directory())(error)),
    }
}

fn open(store: &ImageStore, what: &str) -> Result<File, ImageError> {
    let path = store.path(&format!("{what}.lock"));
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(at("open", &path))
}
