//! Items, and how they get in and out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::stream::{self, StreamExt};
use grange_derivation::{StorePath, nar, paths};
use grange_interfaces::{Body, ItemInfo, LocalStore, bytes_of};
use grange_model::NarHash;
use sha2::{Digest, Sha256};

use crate::conformance::artifacts::body;

/// An item, and its nar.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) info: ItemInfo,
    pub(crate) nar: Vec<u8>,
}

/// Something that no other item has in it: stores may be shared.
pub(crate) fn salt() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{now}-{count}", std::process::id())
}

/// A file of about `size` bytes that refers to others, valid nowhere yet.
pub(crate) fn made(store: &dyn LocalStore, name: &str, size: usize, references: &[&Made]) -> Made {
    let mut contents = salt().into_bytes();
    contents.resize(size.max(contents.len()), b'x');
    of_nar(store, name, nar::of_file(&contents), references)
}

/// The same with a nar of its own.
pub(crate) fn of_nar(
    store: &dyn LocalStore,
    name: &str,
    nar: Vec<u8>,
    references: &[&Made],
) -> Made {
    let hash: [u8; 32] = Sha256::digest(&nar).into();
    let mut references: Vec<_> = references.iter().map(|it| it.info.path.clone()).collect();
    references.sort();
    let path = paths::source_path(store.store_dir(), name, &references, false, &hash);
    let info = ItemInfo {
        path: path.expect("the name is one"),
        nar_hash: NarHash(hash),
        nar_size: nar.len() as u64,
        references,
        deriver: None,
    };
    Made { info, nar }
}

impl Made {
    pub(crate) fn path(&self) -> &StorePath {
        &self.info.path
    }

    pub(crate) fn body(&self) -> Body {
        body(&self.nar, 10_007)
    }

    pub(crate) async fn import(self, store: &dyn LocalStore) -> Self {
        let imported = store.import(&self.info, self.body()).await;
        imported.expect("it is imported");
        self
    }

    /// A body with the first `length` bytes of the nar, and no end.
    pub(crate) fn beginning(&self, length: usize) -> Body {
        let first = body(&self.nar[..length], 1_000);
        first.chain(stream::pending()).boxed()
    }
}

pub(crate) async fn is_valid(store: &dyn LocalStore, path: &StorePath) -> bool {
    let found = store.query(std::slice::from_ref(path)).await;
    let found = found.expect("it answers");
    assert_eq!(found.len(), 1, "one path has one answer");
    found[0].is_some()
}

pub(crate) async fn bytes_of_export(store: &dyn LocalStore, path: &StorePath) -> Vec<u8> {
    let nar = store.export(path).await.expect("it is exported");
    let nar = bytes_of(nar, 256 << 20).await;
    nar.expect("it is exported to the end").to_vec()
}
