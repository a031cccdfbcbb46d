//! What is written around nars.

use super::wire::{MAGIC, push_number, push_string};
use crate::guix::SecretKey;
use grange_derivation::StorePath;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// What an archive says of an item after its nar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    /// The item.
    pub path: StorePath,
    /// What it refers to, itself if it does. A daemon wants all others to be valid already.
    pub references: BTreeSet<StorePath>,
    /// The derivation that made it.
    pub deriver: Option<StorePath>,
}

impl Trailer {
    /// The bytes after the nar, without a signature: no daemon takes them, `nix-store --import` as root does.
    #[must_use]
    pub fn unsigned(&self) -> Vec<u8> {
        let mut out = self.covered();
        push_number(&mut out, 0);
        out
    }

    /// The part that a signature covers.
    fn covered(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_number(&mut out, MAGIC);
        push_string(&mut out, self.path.to_string().as_bytes());
        push_number(&mut out, self.references.len() as u64);
        for reference in &self.references {
            push_string(&mut out, reference.to_string().as_bytes());
        }
        let deriver = self.deriver.as_ref().map(StorePath::to_string);
        push_string(&mut out, deriver.unwrap_or_default().as_bytes());
        out
    }
}

/// Hashes a nar on its way into an archive, for the signature.
#[derive(Debug, Clone, Default)]
pub struct Signing {
    hash: Sha256,
}

impl Signing {
    /// At the start of a nar.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the nar's next bytes.
    pub fn update(&mut self, nar: &[u8]) {
        self.hash.update(nar);
    }

    /// The bytes after the nar, signed.
    #[must_use]
    pub fn finish(self, trailer: &Trailer, key: &SecretKey) -> Vec<u8> {
        let mut out = trailer.covered();
        let hash = self.hash.chain_update(&out).finalize();
        push_number(&mut out, 1);
        push_string(&mut out, &key.sign(&hash.into()).to_advanced());
        out
    }
}
