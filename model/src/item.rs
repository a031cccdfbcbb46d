//! Store items.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// The 20 bytes that a store item's name begins with (in nix-base32).
///
/// The store directory is part of what the digest covers, so it names an item on its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest(pub [u8; 20]);

/// Three numbers, not a slice of bytes: tables are asked for digests more often than for anything else.
impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (eights, rest) = self.0.as_chunks::<8>();
        for eight in eights {
            state.write_u64(u64::from_ne_bytes(*eight));
        }
        let rest = rest.try_into().map(u32::from_ne_bytes);
        state.write_u32(rest.expect("20 bytes are twice 8, and 4"));
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A store item without its store directory: the digest and the name after the dash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    /// What the name begins with.
    pub digest: Digest,
    /// What follows the dash: `hello-2.12.2`, `hello-2.12.2.drv`.
    pub name: String,
}

/// SHA-256 of an uncompressed nar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NarHash(pub [u8; 32]);

impl fmt::Debug for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The name of a sealed blob in the `ArtifactStore`: SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlobId(pub [u8; 32]);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An item that upstream substitute servers have: one of them says so, signed with a key that the operator trusts.
///
/// It makes the item available. Its nar does not lie here, and nothing of this was computed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamRecord {
    /// Which item.
    pub item: Item,
    /// The directory that it belongs in, such as `/gnu/store`.
    pub store: String,
    /// SHA-256 of the uncompressed nar.
    pub nar_hash: NarHash,
    /// Bytes of the uncompressed nar.
    pub nar_size: u64,
    /// What the item refers to, itself included where it does; sorted. All of it is available.
    pub references: Vec<Item>,
    /// The derivation that it was built from, if the server says so.
    pub deriver: Option<Item>,
}

/// An item that is available: its nar was received, verified and sealed here.
///
/// Hash, size and references were computed on the coordinator's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRecord {
    /// Which item.
    pub item: Item,
    /// The directory that it belongs in, such as `/gnu/store`.
    pub store: String,
    /// SHA-256 of the uncompressed nar.
    pub nar_hash: NarHash,
    /// Bytes of the uncompressed nar.
    pub nar_size: u64,
    /// What the item refers to, itself included where it does; sorted.
    pub references: Vec<Item>,
    /// The derivation that it was built from; none for a source.
    pub deriver: Option<Item>,
    /// Where the nar lies, compressed with zstd.
    pub blob: BlobId,
    /// Bytes of that blob.
    pub blob_size: u64,
}
