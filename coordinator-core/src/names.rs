//! Rows by name.

use std::collections::BTreeMap;

use grange_model::{AgentId, BuildId, Digest};
use hashbrown::HashTable;

use crate::machine::Core;
use crate::slab::{Content, Ix, Slab};
use crate::tables::{Agent, Build, Derivation, Output};

/// Indices by name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) derivations: ByDigest<Derivation>,
    pub(crate) outputs: ByDigest<Output>,
    pub(crate) builds: BTreeMap<BuildId, Ix<Build>>,
    pub(crate) agents: BTreeMap<AgentId, Ix<Agent>>,
}

/// A row that is found by its digest.
pub(crate) trait Named: Content {
    fn digest(&self) -> Digest;
}

impl Named for Derivation {
    fn digest(&self) -> Digest {
        self.item.digest
    }
}

impl Named for Output {
    fn digest(&self) -> Digest {
        self.digest
    }
}

/// A large table of rows by their digests, in parts. It holds nothing but indices: the digests are in the rows, which whoever asks
/// looks at next.
///
/// A table that grows moves all that is in it, in one call: of a million rows, that takes 40 ms. A part has a few thousand.
#[derive(Debug)]
pub(crate) struct ByDigest<T> {
    /// By the first byte.
    parts: Vec<HashTable<Ix<T>>>,
}

impl<T> Default for ByDigest<T> {
    fn default() -> Self {
        let parts = (0..=u8::MAX).map(|_| HashTable::new());
        Self {
            parts: parts.collect(),
        }
    }
}

impl<T: Named> ByDigest<T> {
    pub(crate) fn get(&self, digest: Digest, rows: &Slab<T>) -> Option<Ix<T>> {
        let part = &self.parts[part_of(digest)];
        let same = |ix: &Ix<T>| rows[*ix].digest() == digest;
        part.find(hash(digest), same).copied()
    }

    /// Enters a row whose digest none of the others has.
    pub(crate) fn insert(&mut self, ix: Ix<T>, rows: &Slab<T>) {
        let digest = rows[ix].digest();
        let part = &mut self.parts[part_of(digest)];
        part.insert_unique(hash(digest), ix, |ix| hash(rows[*ix].digest()));
    }

    /// Takes a row out that has, or had, this digest.
    pub(crate) fn remove(&mut self, digest: Digest, ix: Ix<T>) {
        let part = &mut self.parts[part_of(digest)];
        if let Ok(entry) = part.find_entry(hash(digest), |other| *other == ix) {
            entry.remove();
        }
    }
}

fn part_of(digest: Digest) -> usize {
    usize::from(digest.0[0])
}

/// Digests are hashes already: all that is needed is that no part of one decides alone.
fn hash(digest: Digest) -> u64 {
    let ([low, high], rest) = digest.0.as_chunks::<8>() else {
        return 0;
    };
    let rest = rest.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    let mixed =
        u128::from(u64::from_le_bytes(*low) ^ rest) * u128::from(u64::from_le_bytes(*high) | 1);
    (mixed >> 64) as u64 ^ mixed as u64
}

impl Core {
    /// The derivation, if it has unfinished builds.
    pub(crate) fn find_derivation(&self, digest: Digest) -> Option<Ix<Derivation>> {
        self.names.derivations.get(digest, &self.derivations)
    }

    /// The output, if an unfinished build makes or needs it.
    pub(crate) fn find_output(&self, digest: Digest) -> Option<Ix<Output>> {
        self.names.outputs.get(digest, &self.outputs)
    }
}
