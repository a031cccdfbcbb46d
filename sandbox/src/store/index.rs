//! What is valid, and what uses it: in memory, behind a lock that is never held while waiting.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grange_derivation::StorePath;
use grange_interfaces::ItemInfo;

/// The valid items of a store.
#[derive(Debug, Default)]
pub(super) struct Index(Mutex<Items>);

#[derive(Debug, Default)]
struct Items {
    valid: HashMap<StorePath, Arc<ItemInfo>>,
    /// How many other valid items refer to each.
    referrers: HashMap<StorePath, usize>,
    /// How many builds and exports use each.
    held: HashMap<StorePath, usize>,
    /// When each was used last: the higher, the later.
    used: HashMap<StorePath, u64>,
    uses: u64,
}

/// Items that are not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub Vec<StorePath>);

/// Why an item may not go.
pub(super) enum Needed {
    By(StorePath),
    Held,
}

/// Items that cannot be deleted while this lives.
#[derive(Debug)]
pub struct Hold {
    index: Arc<Index>,
    paths: Vec<StorePath>,
}

impl Index {
    pub(super) fn get(&self, path: &StorePath) -> Option<Arc<ItemInfo>> {
        self.items().valid.get(path).cloned()
    }

    /// Makes items valid.
    pub(super) fn insert(&self, infos: impl IntoIterator<Item = ItemInfo>) {
        let mut items = self.items();
        for info in infos {
            let path = info.path.clone();
            for reference in info
                .references
                .iter()
                .filter(|reference| **reference != path)
            {
                *items.referrers.entry(reference.clone()).or_default() += 1;
            }
            items.touch(&path);
            items.valid.insert(path, Arc::new(info));
        }
    }

    /// Makes an item not valid; what was known of it, if it was valid.
    pub(super) fn remove(&self, path: &StorePath) -> Result<Option<Arc<ItemInfo>>, Needed> {
        let mut items = self.items();
        if items.held.contains_key(path) {
            return Err(Needed::Held);
        }
        if items.referrers.contains_key(path) {
            let by = items
                .valid
                .values()
                .find(|info| info.path != *path && info.references.contains(path));
            return Err(by.map_or(Needed::Held, |info| Needed::By(info.path.clone())));
        }
        Ok(items.take(path))
    }

    /// Keeps items from being deleted.
    pub(super) fn hold(self: &Arc<Self>, paths: &[StorePath]) -> Result<Hold, Missing> {
        let mut items = self.items();
        let missing: Vec<_> = paths
            .iter()
            .filter(|path| !items.valid.contains_key(*path))
            .cloned()
            .collect();
        if !missing.is_empty() {
            return Err(Missing(missing));
        }
        for path in paths {
            *items.held.entry(path.clone()).or_default() += 1;
            items.touch(path);
        }
        Ok(Hold {
            index: Arc::clone(self),
            paths: paths.to_vec(),
        })
    }

    /// The items and all that they refer to, sorted.
    pub(super) fn closure(
        &self,
        roots: impl IntoIterator<Item = StorePath>,
    ) -> Result<BTreeSet<StorePath>, Missing> {
        let items = self.items();
        let mut closure = BTreeSet::new();
        let mut next: Vec<_> = roots.into_iter().collect();
        while let Some(path) = next.pop() {
            let Some(info) = items.valid.get(&path) else {
                return Err(Missing(vec![path]));
            };
            if closure.insert(path) {
                next.extend(
                    info.references
                        .iter()
                        .filter(|reference| !closure.contains(*reference))
                        .cloned(),
                );
            }
        }
        Ok(closure)
    }

    /// A valid item that refers to one that is not.
    pub(super) fn dangling(&self) -> Option<StorePath> {
        let items = self.items();
        let dangles = |info: &ItemInfo| {
            info.references
                .iter()
                .any(|reference| !items.valid.contains_key(reference))
        };
        items
            .valid
            .values()
            .find(|info| dangles(info))
            .map(|info| info.path.clone())
    }

    /// Items that neither `keep` nor what is used needs, with the bytes of their nars: what was of use
    /// last comes last, and what refers to others before these.
    pub(super) fn garbage(&self, keep: &[StorePath]) -> Vec<(StorePath, u64)> {
        let items = self.items();
        let mut seen: HashSet<&StorePath> = HashSet::new();
        let needed = keep.iter().chain(items.held.keys());
        items.visit(needed, &mut seen);
        let mut rest: Vec<_> = items.valid.keys().collect();
        rest.sort_by_key(|path| std::cmp::Reverse((items.used.get(*path), *path)));
        // What an item refers to is of use as long as the item is.
        let garbage = items.visit(rest.into_iter(), &mut seen);
        let sized = garbage.into_iter().rev();
        sized
            .map(|info| (info.path.clone(), info.nar_size))
            .collect()
    }

    /// Makes an item not valid, whatever refers to it.
    pub(super) fn forget(&self, path: &StorePath) {
        self.items().take(path);
    }

    pub(super) fn len(&self) -> usize {
        self.items().valid.len()
    }

    /// A panic elsewhere cannot have left the maps half changed: nothing in between panics.
    fn items(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Items {
    fn touch(&mut self, path: &StorePath) {
        self.uses += 1;
        self.used.insert(path.clone(), self.uses);
    }

    /// The valid ones among these and all that they refer to that were not seen yet, references before
    /// what refers to them.
    fn visit<'a>(
        &'a self,
        roots: impl Iterator<Item = &'a StorePath>,
        seen: &mut HashSet<&'a StorePath>,
    ) -> Vec<&'a ItemInfo> {
        let mut order = Vec::new();
        // Items, and how many of their references were looked at.
        let mut way: Vec<(&ItemInfo, usize)> = Vec::new();
        for root in roots {
            let mut next = Some(root);
            loop {
                if let Some(path) = next.take()
                    && let Some((path, info)) = self.valid.get_key_value(path)
                    && seen.insert(path)
                {
                    way.push((info, 0));
                }
                let Some((info, at)) = way.last_mut() else {
                    break;
                };
                next = info.references.get(*at);
                *at += 1;
                if next.is_none() {
                    order.push(*info);
                    way.pop();
                }
            }
        }
        order
    }

    fn take(&mut self, path: &StorePath) -> Option<Arc<ItemInfo>> {
        let info = self.valid.remove(path);
        self.used.remove(path);
        for reference in info
            .iter()
            .flat_map(|info| &info.references)
            .filter(|reference| *reference != path)
        {
            decrement(&mut self.referrers, reference);
        }
        info
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut items = self.index.items();
        for path in &self.paths {
            decrement(&mut items.held, path);
        }
    }
}

fn decrement(counts: &mut HashMap<StorePath, usize>, path: &StorePath) {
    if let Some(count) = counts.get_mut(path) {
        *count -= 1;
        if *count == 0 {
            counts.remove(path);
        }
    }
}
