//! The store that an agent builds into.

use std::fmt;

use async_trait::async_trait;
use grange_derivation::{StoreDir, StorePath};
use grange_model::NarHash;

use crate::Body;

/// What a store knows of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemInfo {
    /// Which.
    pub path: StorePath,
    /// SHA-256 of its nar.
    pub nar_hash: NarHash,
    /// Bytes of its nar.
    pub nar_size: u64,
    /// What it refers to, itself included where it does; sorted.
    pub references: Vec<StorePath>,
    /// What it was built from, if that is known.
    pub deriver: Option<StorePath>,
}

/// Why a local store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalStoreError {
    /// An item is not valid in this store.
    #[error("{0} is not valid here")]
    NotValid(StorePath),
    /// An item's reference is not valid here, so the item cannot become valid.
    #[error("{reference}, which {path} refers to, is not valid here")]
    MissingReference {
        /// What was to be imported.
        path: StorePath,
        /// What is missing.
        reference: StorePath,
    },
    /// The bytes are not those that were announced.
    #[error("{path}: {what}")]
    Mismatch {
        /// What was to be imported.
        path: StorePath,
        /// What differs.
        what: String,
    },
    /// An item cannot be deleted: others refer to it, or it is in use.
    #[error("{path} cannot be deleted: {why}")]
    InUse {
        /// Which.
        path: StorePath,
        /// Why.
        why: String,
    },
    /// No room.
    #[error("no room in the store")]
    Full,
    /// The body of an import broke off.
    #[error("the archive broke off")]
    Body(#[source] std::io::Error),
    /// The store failed.
    #[error("the store failed: {0}")]
    Io(String),
}

/// What a collection of garbage came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// How many items were deleted, or would have been.
    pub items: u64,
    /// How many bytes that frees, as far as the store knows.
    pub bytes: u64,
}

/// The agent's own store.
///
/// # Contract
///
/// * An item is valid or not there: an import that breaks off leaves nothing behind.
/// * `import` verifies hash and size before the item becomes valid, and demands that its references
///   are valid (itself excepted). Importing what is valid succeeds and does not read the body.
/// * `export` gives the uncompressed nar with the hash that `query` says.
/// * `collect_garbage` deletes neither what is kept, nor what a build or an export uses, nor what any
///   of these refers to.
#[async_trait]
pub trait LocalStore: Send + Sync + fmt::Debug {
    /// Which store directory its items belong in.
    fn store_dir(&self) -> &StoreDir;

    /// What is known of these items, in the order asked; none for what is not valid.
    ///
    /// # Errors
    ///
    /// [`LocalStoreError::Io`].
    async fn query(&self, paths: &[StorePath]) -> Result<Vec<Option<ItemInfo>>, LocalStoreError>;

    /// Makes an item valid.
    ///
    /// # Errors
    ///
    /// Any but `NotValid` and `InUse`.
    async fn import(&self, info: &ItemInfo, nar: Body) -> Result<(), LocalStoreError>;

    /// The nar of a valid item, uncompressed.
    ///
    /// # Errors
    ///
    /// `NotValid`, `Io`; later ones come in the body.
    async fn export(&self, path: &StorePath) -> Result<Body, LocalStoreError>;

    /// Deletes an item; what is not there succeeds. A store that is the farm's own deletes what
    /// refers to it as well, for all of it can be had again; a store that others use refuses.
    ///
    /// # Errors
    ///
    /// `InUse`, `Io`.
    async fn delete(&self, path: &StorePath) -> Result<(), LocalStoreError>;

    /// How many bytes are free where the items lie.
    ///
    /// # Errors
    ///
    /// `Io`.
    async fn free_bytes(&self) -> Result<u64, LocalStoreError>;

    /// Deletes items that nobody needs until `bytes` are free that were not, or nothing is left that
    /// may go; if not `delete`, only says what would go. What is to be kept need not be valid yet.
    ///
    /// # Errors
    ///
    /// `Io`.
    async fn collect_garbage(
        &self,
        bytes: u64,
        keep: &[StorePath],
        delete: bool,
    ) -> Result<Freed, LocalStoreError>;
}
