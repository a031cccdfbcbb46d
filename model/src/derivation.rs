//! What the coordinator knows of a derivation without its text.

use serde::{Deserialize, Serialize};

use crate::{Digest, Item};

/// An output of a derivation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRef {
    /// `out`, `lib`, …
    pub name: String,
    /// The item that it is.
    pub item: Item,
}

/// An output of another derivation that a derivation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InputRef {
    /// The other derivation.
    pub derivation: Digest,
    /// The item that is needed of it.
    pub output: Digest,
}

/// A derivation as a node of the graph. Its text lies beside it, under a key of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DerivationRecord {
    /// Which derivation; the name ends in `.drv`.
    pub item: Item,
    /// The directory that it belongs in, such as `/gnu/store`.
    pub store: String,
    /// What it builds on, such as `x86_64-linux`, or `builtin`.
    pub system: String,
    /// Its outputs, in the order of its text.
    pub outputs: Vec<OutputRef>,
    /// What it needs of other derivations; sorted.
    pub inputs: Vec<InputRef>,
    /// What it needs that no derivation makes.
    pub sources: Vec<Item>,
    /// What stands for it in the hashes of the derivations that use it
    /// (Guix: `derivation-hash`; Nix: `hashDerivationModulo`).
    pub hash: [u8; 32],
    /// Its `requiredSystemFeatures`.
    pub features: Vec<String>,
}
