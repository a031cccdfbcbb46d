//! Where things lie.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use grange_derivation::StorePath;

/// The directories of a store.
#[derive(Debug)]
pub(crate) struct Layout {
    directory: PathBuf,
    next: AtomicU64,
}

impl Layout {
    /// Makes the directories that are not there.
    pub(crate) fn create(directory: &Path) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)?;
        let directory = directory.canonicalize()?;
        for name in ["store", "info"] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(directory.join(name))?;
        }
        // Nobody else may look into these: there are files in them whose modes a build chose.
        for name in ["incoming", "build"] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory.join(name))?;
        }
        Ok(Self {
            directory,
            next: AtomicU64::new(0),
        })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn items(&self) -> PathBuf {
        self.directory.join("store")
    }

    pub(super) fn records(&self) -> PathBuf {
        self.directory.join("info")
    }

    pub(super) fn incoming(&self) -> PathBuf {
        self.directory.join("incoming")
    }

    pub(crate) fn builds(&self) -> PathBuf {
        self.directory.join("build")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    pub(super) fn settled(&self) -> PathBuf {
        self.directory.join("settled")
    }

    /// Where an item lies.
    pub(crate) fn item(&self, path: &StorePath) -> PathBuf {
        self.items().join(path.base_name())
    }

    pub(super) fn record(&self, path: &StorePath) -> PathBuf {
        self.records().join(path.base_name())
    }

    /// A name in `incoming` that nobody else has.
    pub(super) fn new_incoming(&self) -> PathBuf {
        self.incoming().join(self.number().to_string())
    }

    /// A number that this process has given to nobody else.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}
