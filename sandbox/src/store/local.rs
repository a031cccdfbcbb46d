//! [`LocalStore`], and what the builder needs beside it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use grange_derivation::{StoreDir, StorePath};
use grange_fail_points::{Point, reach};
use grange_interfaces::{Body, Freed, ItemInfo, LocalStore, LocalStoreError};

use super::import::failed;
use super::index::Needed;
use super::{Hold, Inner, Layout, Missing, SandboxStore, export};
use crate::tree;

impl SandboxStore {
    /// What is known of an item, if it is valid.
    #[must_use]
    pub fn info(&self, path: &StorePath) -> Option<ItemInfo> {
        self.inner.index.get(path).map(|info| (*info).clone())
    }

    /// Where a valid item lies on this machine. It may be read, and must not be changed.
    #[must_use]
    pub fn real_path(&self, path: &StorePath) -> Option<PathBuf> {
        self.inner
            .index
            .get(path)
            .map(|_| self.inner.layout.item(path))
    }

    /// Keeps items from being deleted.
    ///
    /// # Errors
    ///
    /// Those that are not valid.
    pub fn hold(&self, paths: &[StorePath]) -> Result<Hold, Missing> {
        self.inner.index.hold(paths)
    }

    /// Items and all that they refer to, sorted.
    ///
    /// # Errors
    ///
    /// One that is not valid.
    pub fn closure(
        &self,
        roots: impl IntoIterator<Item = StorePath>,
    ) -> Result<BTreeSet<StorePath>, Missing> {
        self.inner.index.closure(roots)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

impl Inner {
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Deletes an item and, before it, what refers to it: all of it can be had again.
    fn delete_now(&self, path: &StorePath) -> Result<(), LocalStoreError> {
        let mut doomed = vec![path.clone()];
        while let Some(next) = doomed.last() {
            match self.delete_one(next)? {
                Some(referrer) => doomed.push(referrer),
                None => {
                    doomed.pop();
                }
            }
        }
        Ok(())
    }

    /// Deletes what lies where an item would, or names an item that refers to it.
    fn delete_one(&self, path: &StorePath) -> Result<Option<StorePath>, LocalStoreError> {
        let commit = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        match self.index.remove(path) {
            Ok(_) => {}
            Err(Needed::By(referrer)) => return Ok(Some(referrer)),
            Err(Needed::Held) => {
                let (path, why) = (path.clone(), "a build or an export uses it".to_owned());
                return Err(LocalStoreError::InUse { path, why });
            }
        }
        // First the record: what is left when this process is killed now is not valid.
        match fs::remove_file(self.layout.record(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("delete a record", &error));
            }
            _ => {}
        }
        reach(Point::RecordDeleted);
        let gone = self.layout.new_incoming();
        let (item, moved) = (self.layout.item(path), self.move_away(path, &gone));
        drop(commit);
        reach(Point::ItemMoved);
        let rest = match moved {
            Ok(()) => gone,
            // It is removed where it lies: directories that are not ours to write to cannot be moved.
            Err(_) => item,
        };
        tree::remove(&rest).map_err(|error| failed("delete an item", &error))?;
        Ok(None)
    }

    /// Deletes what is of no use and was used longest ago.
    fn collect(
        &self,
        bytes: u64,
        keep: &[StorePath],
        delete: bool,
    ) -> Result<Freed, LocalStoreError> {
        let mut freed = Freed::default();
        for (path, size) in self.index.garbage(keep) {
            if freed.bytes >= bytes {
                break;
            }
            // Since it was looked for, somebody may have begun to use it, or what refers to it.
            let gone = !delete || matches!(self.delete_one(&path), Ok(None));
            if gone {
                freed.items += 1;
                freed.bytes += size;
            }
        }
        Ok(freed)
    }

    fn move_away(&self, path: &StorePath, to: &std::path::Path) -> io::Result<()> {
        let item = self.layout.item(path);
        if fs::symlink_metadata(&item)?.is_dir() {
            fs::set_permissions(&item, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        }
        fs::rename(item, to)
    }
}

#[async_trait]
impl LocalStore for SandboxStore {
    fn store_dir(&self) -> &StoreDir {
        &self.inner.store_dir
    }

    async fn query(&self, paths: &[StorePath]) -> Result<Vec<Option<ItemInfo>>, LocalStoreError> {
        Ok(paths.iter().map(|path| self.info(path)).collect())
    }

    async fn import(&self, info: &ItemInfo, nar: Body) -> Result<(), LocalStoreError> {
        if self.inner.index.get(&info.path).is_some() {
            return Ok(());
        }
        if info.path.store() != &self.inner.store_dir {
            let what = format!("belongs in another store than {}", self.inner.store_dir);
            return Err(LocalStoreError::Mismatch {
                path: info.path.clone(),
                what,
            });
        }
        let unknown = |reference: &&StorePath| {
            **reference != info.path && self.inner.index.get(reference).is_none()
        };
        if let Some(reference) = info.references.iter().find(unknown) {
            return Err(LocalStoreError::MissingReference {
                path: info.path.clone(),
                reference: reference.clone(),
            });
        }
        self.inner.import_body(info, nar).await
    }

    async fn export(&self, path: &StorePath) -> Result<Body, LocalStoreError> {
        let hold = self
            .hold(std::slice::from_ref(path))
            .map_err(|_| LocalStoreError::NotValid(path.clone()))?;
        Ok(export::export(self.inner.layout.item(path), hold))
    }

    async fn delete(&self, path: &StorePath) -> Result<(), LocalStoreError> {
        let (store, path) = (Arc::clone(&self.inner), path.clone());
        let done = tokio::task::spawn_blocking(move || store.delete_now(&path)).await;
        done.map_err(|error| LocalStoreError::Io(error.to_string()))?
    }

    async fn free_bytes(&self) -> Result<u64, LocalStoreError> {
        let found = rustix::fs::statvfs(self.inner.layout.directory());
        let found = found.map_err(|error| failed("look for room", &error.into()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    async fn collect_garbage(
        &self,
        bytes: u64,
        keep: &[StorePath],
        delete: bool,
    ) -> Result<Freed, LocalStoreError> {
        let (store, keep) = (Arc::clone(&self.inner), keep.to_vec());
        let work = move || store.collect(bytes, &keep, delete);
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| LocalStoreError::Io(error.to_string()))?
    }
}
