//! Items in maps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use grange_derivation::{StoreDir, StorePath, nar};
use grange_interfaces::{Body, Freed, ItemInfo, LocalStore, LocalStoreError};
use grange_model::NarHash;
use sha2::{Digest, Sha256};

/// Bytes in a piece of an export: few, so that tests with little have several.
const PIECE: usize = 1021;

/// A [`LocalStore`] in memory, for tests.
///
/// It is the farm's own: what refers to a deleted item is deleted with it. It is as unhelpful as the
/// contract lets it be: exports come in small pieces of odd length, and an item that is being
/// exported cannot be deleted.
#[derive(Clone)]
pub struct MemoryLocalStore(Arc<Shared>);

struct Shared {
    store_dir: StoreDir,
    items: Mutex<Items>,
}

#[derive(Default)]
struct Items {
    valid: BTreeMap<StorePath, (ItemInfo, Bytes)>,
    /// What came first goes first.
    order: Vec<StorePath>,
    /// How many exports and builds use each.
    used: BTreeMap<StorePath, usize>,
}

/// Keeps items from being deleted while it lives.
pub(super) struct Use {
    store: Arc<Shared>,
    paths: Vec<StorePath>,
}

impl MemoryLocalStore {
    /// An empty one for items of this directory.
    #[must_use]
    pub fn new(store_dir: StoreDir) -> Self {
        Self(Arc::new(Shared {
            store_dir,
            items: Mutex::default(),
        }))
    }

    /// The items that are valid, in the order in which they came.
    #[must_use]
    pub fn paths(&self) -> Vec<StorePath> {
        self.0.items().order.clone()
    }

    /// Keeps these from being deleted.
    pub(super) fn hold(&self, paths: &[StorePath]) -> Use {
        self.0.hold(paths)
    }
}

impl fmt::Debug for MemoryLocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLocalStore")
            .field("items", &self.paths().len())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn items(&self) -> MutexGuard<'_, Items> {
        // Nothing panics while it is locked, but for a failed allocation.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(self: &Arc<Self>, paths: &[StorePath]) -> Use {
        let mut items = self.items();
        for path in paths {
            *items.used.entry(path.clone()).or_default() += 1;
        }
        Use {
            store: Arc::clone(self),
            paths: paths.to_vec(),
        }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut items = self.store.items();
        for path in &self.paths {
            if let Some(count) = items.used.get_mut(path) {
                *count -= 1;
                if *count == 0 {
                    items.used.remove(path);
                }
            }
        }
    }
}

impl Items {
    fn missing(&self, info: &ItemInfo) -> Option<StorePath> {
        let unknown = |path: &&StorePath| **path != info.path && !self.valid.contains_key(*path);
        info.references.iter().find(unknown).cloned()
    }

    /// These and all that they refer to.
    fn closure<'a>(&self, roots: impl IntoIterator<Item = &'a StorePath>) -> BTreeSet<StorePath> {
        let mut found = BTreeSet::new();
        let mut next: Vec<StorePath> = roots.into_iter().cloned().collect();
        while let Some(path) = next.pop() {
            if let Some((info, _)) = self.valid.get(&path)
                && found.insert(path)
            {
                next.extend(info.references.iter().cloned());
            }
        }
        found
    }

    /// These and all that refer to them.
    fn referrers(&self, path: &StorePath) -> BTreeSet<StorePath> {
        let mut found = BTreeSet::from([path.clone()]);
        loop {
            let refers = |info: &ItemInfo| info.references.iter().any(|it| found.contains(it));
            let more = self.valid.values().filter(|(info, _)| refers(info));
            let more: BTreeSet<_> = more.map(|(info, _)| info.path.clone()).collect();
            if more.is_subset(&found) {
                return found;
            }
            found.extend(more);
        }
    }

    fn remove(&mut self, path: &StorePath) -> u64 {
        self.order.retain(|it| it != path);
        self.valid.remove(path).map_or(0, |(info, _)| info.nar_size)
    }
}

#[async_trait]
impl LocalStore for MemoryLocalStore {
    fn store_dir(&self) -> &StoreDir {
        &self.0.store_dir
    }

    async fn query(&self, paths: &[StorePath]) -> Result<Vec<Option<ItemInfo>>, LocalStoreError> {
        let items = self.0.items();
        let known = |path| items.valid.get(path).map(|(info, _)| info.clone());
        Ok(paths.iter().map(known).collect())
    }

    async fn import(&self, info: &ItemInfo, mut nar: Body) -> Result<(), LocalStoreError> {
        let path = info.path.clone();
        let mismatch = |what: String| LocalStoreError::Mismatch {
            path: info.path.clone(),
            what,
        };
        if path.store() != &self.0.store_dir {
            return Err(mismatch("belongs in another store".into()));
        }
        let missing = |items: &Items| {
            items
                .missing(info)
                .map(|reference| LocalStoreError::MissingReference {
                    path: info.path.clone(),
                    reference,
                })
        };
        {
            let items = self.0.items();
            if items.valid.contains_key(&path) {
                return Ok(());
            }
            if let Some(error) = missing(&items) {
                return Err(error);
            }
        }
        let mut bytes = Vec::new();
        while let Some(piece) = nar.next().await {
            bytes.extend_from_slice(&piece.map_err(LocalStoreError::Body)?);
            if bytes.len() as u64 > info.nar_size {
                return Err(mismatch("has more bytes than were announced".into()));
            }
        }
        if bytes.len() as u64 != info.nar_size {
            return Err(mismatch("has fewer bytes than were announced".into()));
        }
        if NarHash(Sha256::digest(&bytes).into()) != info.nar_hash {
            return Err(mismatch("has another hash than was announced".into()));
        }
        nar::list(&mut &bytes[..]).map_err(|error| mismatch(error.to_string()))?;
        let mut items = self.0.items();
        // It may have gone meanwhile.
        if let Some(error) = missing(&items) {
            return Err(error);
        }
        let mut info = info.clone();
        info.references.sort();
        if items
            .valid
            .insert(path.clone(), (info, bytes.into()))
            .is_none()
        {
            items.order.push(path);
        }
        Ok(())
    }

    async fn export(&self, path: &StorePath) -> Result<Body, LocalStoreError> {
        let found = self
            .0
            .items()
            .valid
            .get(path)
            .map(|(_, bytes)| bytes.clone());
        let bytes = found.ok_or_else(|| LocalStoreError::NotValid(path.clone()))?;
        let held = self.0.hold(std::slice::from_ref(path));
        let pieces: Vec<_> = bytes
            .chunks(PIECE)
            .map(|piece| bytes.slice_ref(piece))
            .collect();
        let give = move |piece| {
            let _held = &held;
            Ok(piece)
        };
        Ok(stream::iter(pieces).map(give).boxed())
    }

    async fn delete(&self, path: &StorePath) -> Result<(), LocalStoreError> {
        let mut items = self.0.items();
        if !items.valid.contains_key(path) {
            return Ok(());
        }
        let doomed = items.referrers(path);
        if let Some(used) = doomed.iter().find(|path| items.used.contains_key(*path)) {
            return Err(LocalStoreError::InUse {
                path: used.clone(),
                why: "it is in use".into(),
            });
        }
        for path in &doomed {
            items.remove(path);
        }
        Ok(())
    }

    async fn free_bytes(&self) -> Result<u64, LocalStoreError> {
        Ok(1 << 40)
    }

    async fn collect_garbage(
        &self,
        bytes: u64,
        keep: &[StorePath],
        delete: bool,
    ) -> Result<Freed, LocalStoreError> {
        let mut items = self.0.items();
        let needed = items.closure(keep.iter().chain(items.used.keys()));
        let mut left: Vec<_> = items.order.clone();
        left.retain(|path| !needed.contains(path));
        let mut freed = Freed::default();
        let mut gone = BTreeSet::new();
        while freed.bytes < bytes {
            // The oldest that nothing refers to any more, itself excepted.
            let free = |path: &StorePath| {
                let mut others = items
                    .valid
                    .values()
                    .filter(|(info, _)| info.path != *path && !gone.contains(&info.path));
                !others.any(|(info, _)| info.references.contains(path))
            };
            let Some(at) = left.iter().position(free) else {
                break;
            };
            let path = left.remove(at);
            freed.items += 1;
            freed.bytes += items.valid.get(&path).map_or(0, |(info, _)| info.nar_size);
            gone.insert(path);
        }
        if delete {
            for path in &gone {
                items.remove(path);
            }
        }
        Ok(freed)
    }
}
