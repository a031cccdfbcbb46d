//! A store in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::{Hash, StoreDir, StorePath};
use grange_interfaces::{Body, Freed, ItemInfo, LocalStore, LocalStoreError};
use grange_model::NarHash;

#[derive(Debug)]
pub(crate) struct Store {
    dir: StoreDir,
    items: Mutex<BTreeMap<StorePath, (ItemInfo, Bytes)>>,
    /// Items that cannot be deleted.
    pub(crate) in_use: Mutex<Vec<StorePath>>,
    /// There is no room.
    pub(crate) full: Mutex<bool>,
    pub(crate) imported: Mutex<Vec<StorePath>>,
    /// How much is free.
    pub(crate) free: Mutex<u64>,
    /// Collections of garbage: how much was to be freed, what was to be kept, and whether it was to be deleted.
    pub(crate) collected: Mutex<Vec<(u64, Vec<StorePath>, bool)>>,
}

/// What an item with these contents is. The "nar" is the contents themselves: an agent does not
/// look into it.
pub(crate) fn info(path: &StorePath, contents: &[u8], references: &[StorePath]) -> ItemInfo {
    ItemInfo {
        path: path.clone(),
        nar_hash: NarHash(Hash::sha256(contents).to_sha256().unwrap()),
        nar_size: contents.len() as u64,
        references: references.to_vec(),
        deriver: None,
    }
}

impl Store {
    pub(crate) fn new(dir: StoreDir) -> Self {
        Self {
            dir,
            items: Mutex::default(),
            in_use: Mutex::default(),
            full: Mutex::default(),
            imported: Mutex::default(),
            free: Mutex::new(u64::MAX),
            collected: Mutex::default(),
        }
    }

    fn items(&self) -> MutexGuard<'_, BTreeMap<StorePath, (ItemInfo, Bytes)>> {
        self.items.lock().unwrap()
    }

    pub(crate) fn add(
        &self,
        path: &StorePath,
        contents: &[u8],
        references: &[StorePath],
    ) -> ItemInfo {
        let info = info(path, contents, references);
        self.items().insert(
            path.clone(),
            (info.clone(), Bytes::copy_from_slice(contents)),
        );
        info
    }

    pub(crate) fn has(&self, path: &StorePath) -> bool {
        self.items().contains_key(path)
    }
}

#[async_trait]
impl LocalStore for Store {
    fn store_dir(&self) -> &StoreDir {
        &self.dir
    }

    async fn query(&self, paths: &[StorePath]) -> Result<Vec<Option<ItemInfo>>, LocalStoreError> {
        let items = self.items();
        Ok(paths
            .iter()
            .map(|path| items.get(path).map(|(info, _)| info.clone()))
            .collect())
    }

    async fn import(&self, info: &ItemInfo, mut nar: Body) -> Result<(), LocalStoreError> {
        if self.has(&info.path) {
            return Ok(());
        }
        if *self.full.lock().unwrap() {
            return Err(LocalStoreError::Full);
        }
        let missing = info
            .references
            .iter()
            .find(|path| **path != info.path && !self.has(path));
        if let Some(reference) = missing {
            let (path, reference) = (info.path.clone(), reference.clone());
            return Err(LocalStoreError::MissingReference { path, reference });
        }
        let mut bytes = Vec::new();
        while let Some(piece) = nar.next().await {
            bytes.extend_from_slice(&piece.map_err(LocalStoreError::Body)?);
        }
        if Hash::sha256(&bytes).as_bytes() != info.nar_hash.0 {
            let what = "it has another hash".to_owned();
            return Err(LocalStoreError::Mismatch {
                path: info.path.clone(),
                what,
            });
        }
        self.imported.lock().unwrap().push(info.path.clone());
        self.items()
            .insert(info.path.clone(), (info.clone(), bytes.into()));
        Ok(())
    }

    async fn export(&self, path: &StorePath) -> Result<Body, LocalStoreError> {
        let items = self.items();
        let (_, bytes) = items
            .get(path)
            .ok_or_else(|| LocalStoreError::NotValid(path.clone()))?;
        let pieces: Vec<_> = bytes
            .chunks(50_000)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        Ok(stream::iter(pieces).boxed())
    }

    async fn delete(&self, path: &StorePath) -> Result<(), LocalStoreError> {
        if self.in_use.lock().unwrap().contains(path) {
            return Err(LocalStoreError::InUse {
                path: path.clone(),
                why: "a test says so".into(),
            });
        }
        self.items().remove(path);
        Ok(())
    }

    async fn free_bytes(&self) -> Result<u64, LocalStoreError> {
        Ok(*self.free.lock().unwrap())
    }

    /// Deletes all that it may.
    async fn collect_garbage(
        &self,
        bytes: u64,
        keep: &[StorePath],
        delete: bool,
    ) -> Result<Freed, LocalStoreError> {
        let mut kept = keep.to_vec();
        kept.sort();
        self.collected.lock().unwrap().push((bytes, kept, delete));
        let mut items = self.items();
        let before = items.len();
        if delete {
            items.retain(|path, _| keep.contains(path));
            *self.free.lock().unwrap() += bytes;
        }
        Ok(Freed {
            items: (before - items.len()) as u64,
            bytes,
        })
    }
}
