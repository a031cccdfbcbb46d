//! Opening a store.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use grange_derivation::{StoreDir, nar};
use rustix::fs::FlockOperation;

use super::index::Index;
use super::layout::Layout;
use super::record::Record;
use super::settle::{Epochs, Settled, boot_id};
use crate::config::StoreConfig;
use crate::tree;

/// A store in a directory, for one process at a time.
///
/// Implements [`LocalStore`](grange_interfaces::LocalStore). Works for root and for anybody else: nothing needs another
/// owner than whoever runs this.
#[derive(Clone, Debug)]
pub struct SandboxStore {
    pub(super) inner: Arc<Inner>,
}

/// What threads share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(super) store_dir: StoreDir,
    pub(super) layout: Layout,
    pub(super) index: Arc<Index>,
    pub(super) epochs: Epochs,
    /// Held between looking at the index and renaming.
    pub(super) commit: Mutex<()>,
    /// Held as long as the store is open.
    _lock: File,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open. The operator's turn: one of the two has to go, or to use another directory.
    #[error("the store in {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The directory's name is not UTF-8, or it cannot be made, read or written. The operator's turn.
    #[error("the store in {} cannot be opened", .directory.display())]
    Io {
        /// Where.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl SandboxStore {
    /// Opens a store; makes it if it is not there.
    ///
    /// Reads one small file for each valid item, removes what an earlier process left half done, and, if the machine
    /// went down since, hashes the items that were not known to be on disk.
    ///
    /// # Errors
    ///
    /// Any [`OpenError`].
    pub fn open(config: StoreConfig) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io {
            directory: config.directory.clone(),
            source,
        };
        let layout = Layout::create(&config.directory).map_err(failed)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(layout.lock())
            .map_err(failed)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse(config.directory.clone()));
            }
            Err(error) => return Err(failed(error.into())),
        }
        let inner = Inner::load(config.store_dir.clone(), layout, lock).map_err(failed)?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

impl Inner {
    fn load(store_dir: StoreDir, layout: Layout, lock: File) -> io::Result<Self> {
        for leftovers in [layout.incoming(), layout.builds()] {
            remove_contents(&leftovers)?;
        }
        let boot = boot_id();
        let settled = Settled::read(&layout.settled()).unwrap_or_default();
        let trusted = !boot.is_empty() && settled.boot == boot;
        let index = Index::default();
        let mut epoch = settled.before;
        let mut doubtful = 0;
        // What came first was used first, as far as anybody knows.
        let mut entries = fs::read_dir(layout.records())?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_cached_key(|entry| entry.metadata().and_then(|it| it.modified()).ok());
        for entry in entries {
            let name = entry.file_name();
            let Some(record) = read_record(&store_dir, name.as_bytes(), &entry.path()) else {
                tree::remove(&entry.path())?;
                continue;
            };
            if !trusted && record.epoch >= settled.before {
                doubtful += 1;
                if !is_intact(&layout, &record) {
                    tracing::warn!(item = %record.info.path, "not valid any more: it was not on disk when the machine went down");
                    fs::remove_file(entry.path())?;
                    continue;
                }
            }
            epoch = epoch.max(record.epoch);
            index.insert([record.info]);
        }
        drop_dangling(&layout, &index)?;
        let store = Self {
            store_dir,
            index: Arc::new(index),
            epochs: Epochs::new(epoch + 1, boot),
            commit: Mutex::new(()),
            layout,
            _lock: lock,
        };
        if !trusted {
            store.epochs.settle(&store.layout)?;
        }
        tracing::debug!(directory = %store.layout.directory().display(), items = store.index.len(), doubtful, "store opened");
        Ok(store)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.epochs.settle(&self.layout) {
            // The next to open it will hash the items of this epoch if the machine goes down before that.
            tracing::warn!(%error, "the store could not be synced");
        }
    }
}

fn read_record(store_dir: &StoreDir, name: &[u8], file: &Path) -> Option<Record> {
    Record::read(store_dir, name, file)
        .inspect_err(|error| tracing::warn!(%error, file = %file.display(), "an item's record cannot be read"))
        .ok()
}

fn is_intact(layout: &Layout, record: &Record) -> bool {
    let digested = nar::digest_path(layout.item(&record.info.path));
    digested.is_ok_and(|it| it.sha256 == record.info.nar_hash.0 && it.size == record.info.nar_size)
}

/// An item of which a reference is not valid cannot be valid.
fn drop_dangling(layout: &Layout, index: &Index) -> io::Result<()> {
    while let Some(path) = index.dangling() {
        tracing::warn!(item = %path, "not valid any more: what it refers to is not");
        fs::remove_file(layout.record(&path))?;
        index.forget(&path);
    }
    Ok(())
}

fn remove_contents(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        tree::remove(&entry?.path())?;
    }
    Ok(())
}
