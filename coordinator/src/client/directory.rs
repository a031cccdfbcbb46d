//! A store on disk.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use grange_derivation::{StoreDir, StorePath};
use grange_interfaces::Body;

use super::nar_stream::nar_of_path;
use super::source_info::{Candidates, of_path};
use super::{ClosureSource, SourceError, SourceInfo};

/// The most bytes that a derivation's text may have. The largest of Guix has 400 kB.
const TEXT: u64 = 64 << 20;

/// Items that lie in a directory under their own names (`HASH-NAME`): `/gnu/store` itself, or a store elsewhere whose
/// items belong in `/gnu/store`.
#[derive(Clone, Debug)]
pub struct DirectorySource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: StoreDir,
    directory: PathBuf,
    /// What the directory lists; read once, and only if a source refers to something.
    listing: Mutex<Option<Candidates>>,
}

impl DirectorySource {
    /// The items of `directory`, which belong in `store`.
    #[must_use]
    pub fn new(store: StoreDir, directory: impl Into<PathBuf>) -> Self {
        let inner = Inner {
            store,
            directory: directory.into(),
            listing: Mutex::new(None),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Where they belong.
    #[must_use]
    pub fn store(&self) -> &StoreDir {
        &self.inner.store
    }

    /// Where they lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Does `work` where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        path: &StorePath,
        work: impl FnOnce(&Inner, &StorePath) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let (inner, path) = (Arc::clone(&self.inner), path.clone());
        let failed = path.clone();
        let done = tokio::task::spawn_blocking(move || work(&inner, &path)).await;
        done.unwrap_or_else(|error| {
            Err(SourceError::Io {
                path: failed,
                source: io::Error::other(error),
            })
        })
    }
}

impl Inner {
    /// Where an item lies, if it does.
    fn place(&self, path: &StorePath) -> Result<PathBuf, SourceError> {
        let place = self.directory.join(path.base_name());
        let there = *path.store() == self.store && fs::symlink_metadata(&place).is_ok();
        if there {
            Ok(place)
        } else {
            Err(self.not_there(path))
        }
    }

    fn not_there(&self, path: &StorePath) -> SourceError {
        let place = match self.directory.to_string_lossy() {
            directory if directory == self.store.as_str() => format!("`{directory}`"),
            directory => format!("`{directory}`, which stands for `{}`", self.store),
        };
        SourceError::NotThere {
            path: path.clone(),
            place,
        }
    }

    fn listing(&self) -> io::Result<Candidates> {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = &*listing {
            return Ok(listing.clone());
        }
        let mut items = Candidates::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            // Locks, `.links` and the like are no items.
            if let Ok(path) = StorePath::from_base_name(&self.store, name.as_encoded_bytes()) {
                items.insert(*path.digest(), path);
            }
        }
        Ok(listing.insert(items).clone())
    }

    fn text(&self, path: &StorePath) -> Result<Vec<u8>, SourceError> {
        let broken = |source| SourceError::Io {
            path: path.clone(),
            source,
        };
        let file = File::open(self.place(path)?).map_err(broken)?;
        let mut text = Vec::new();
        file.take(TEXT + 1).read_to_end(&mut text).map_err(broken)?;
        if text.len() as u64 > TEXT {
            let message = format!("it has more than {TEXT} bytes");
            return Err(broken(io::Error::new(io::ErrorKind::FileTooLarge, message)));
        }
        Ok(text)
    }
}

#[async_trait]
impl ClosureSource for DirectorySource {
    async fn derivation_text(&self, path: &StorePath) -> Result<Vec<u8>, SourceError> {
        self.blocking(path, Inner::text).await
    }

    async fn source_info(&self, path: &StorePath) -> Result<SourceInfo, SourceError> {
        self.blocking(path, |inner, path| {
            of_path(path, &inner.place(path)?, || inner.listing())
        })
        .await
    }

    async fn nar(&self, path: &StorePath) -> Result<Body, SourceError> {
        Ok(nar_of_path(self.inner.place(path)?))
    }
}
