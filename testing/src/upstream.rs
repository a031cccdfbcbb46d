//! A substitute server in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::{StorePath, nar};
use grange_interfaces::{Body, ItemInfo, Upstream, UpstreamError};
use grange_model::NarHash;
use sha2::{Digest, Sha256};

/// A substitute server in memory, which everybody trusts. It remembers what it was asked for, and can be told to
/// answer no more.
#[derive(Debug, Default)]
pub struct MemoryUpstream(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<StorePath, (ItemInfo, Bytes)>,
    asked: Vec<StorePath>,
    down: bool,
}

impl MemoryUpstream {
    /// One that has nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives it an item that is a file with these contents, and refers to `references`.
    pub fn add_file(&self, path: &StorePath, contents: &[u8], references: &[StorePath]) {
        self.add_nar(path, nar::of_file(contents), references);
    }

    /// Gives it an item with this nar, which refers to `references`.
    pub fn add_nar(&self, path: &StorePath, nar: Vec<u8>, references: &[StorePath]) {
        let info = ItemInfo {
            path: path.clone(),
            nar_hash: NarHash(Sha256::digest(&nar).into()),
            nar_size: nar.len() as u64,
            references: references.to_vec(),
            deriver: None,
        };
        self.state().items.insert(path.clone(), (info, nar.into()));
    }

    /// Takes an item from it.
    pub fn remove(&self, path: &StorePath) {
        self.state().items.remove(path);
    }

    /// Whether it answers.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// What it was asked for since the last call, in order.
    pub fn asked(&self) -> Vec<StorePath> {
        std::mem::take(&mut self.state().asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Upstream for MemoryUpstream {
    async fn find(&self, paths: &[StorePath]) -> Vec<Result<Option<ItemInfo>, UpstreamError>> {
        let mut state = self.state();
        state.asked.extend_from_slice(paths);
        let find = |path| {
            let item = state.items.get(path).map(|(info, _)| info.clone());
            if state.down {
                Err(unavailable())
            } else {
                Ok(item)
            }
        };
        paths.iter().map(find).collect()
    }

    async fn nar(&self, info: &ItemInfo) -> Result<Body, UpstreamError> {
        let state = self.state();
        if state.down {
            return Err(unavailable());
        }
        match state.items.get(&info.path) {
            Some((found, nar)) if found.nar_hash == info.nar_hash => {
                let pieces: Vec<_> = nar.chunks(1_000).map(|it| Ok(nar.slice_ref(it))).collect();
                Ok(stream::iter(pieces).boxed())
            }
            _ => Err(UpstreamError::Gone(info.path.clone())),
        }
    }
}

fn unavailable() -> UpstreamError {
    UpstreamError::Unavailable {
        server: "memory".to_owned(),
        why: "it was told to be down".to_owned(),
    }
}
