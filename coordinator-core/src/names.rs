//! Rows by name.

use std::collections::BTreeMap;

use grange_model::{AgentId, BuildId, Digest};

use crate::slab::Ix;
use crate::tables::{Agent, Build, Derivation, Index, Output};

/// Indices by name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) derivations: ByDigest<Ix<Derivation>>,
    pub(crate) outputs: ByDigest<Ix<Output>>,
    pub(crate) builds: BTreeMap<BuildId, Ix<Build>>,
    pub(crate) agents: BTreeMap<AgentId, Ix<Agent>>,
}

/// A large table of digests, in parts.
///
/// A table that grows moves all that is in it, in one call: of a million rows, that takes 40 ms. A part has a few thousand.
#[derive(Debug)]
pub(crate) struct ByDigest<V> {
    /// By the first byte.
    parts: Vec<Index<Digest, V>>,
}

impl<V> Default for ByDigest<V> {
    fn default() -> Self {
        let parts = (0..=u8::MAX).map(|_| Index::default());
        Self {
            parts: parts.collect(),
        }
    }
}

impl<V> ByDigest<V> {
    pub(crate) fn get(&self, digest: &Digest) -> Option<&V> {
        self.part(digest).get(digest)
    }

    pub(crate) fn contains_key(&self, digest: &Digest) -> bool {
        self.part(digest).contains_key(digest)
    }

    pub(crate) fn insert(&mut self, digest: Digest, value: V) {
        self.part_mut(&digest).insert(digest, value);
    }

    pub(crate) fn remove(&mut self, digest: &Digest) {
        self.part_mut(digest).remove(digest);
    }

    fn part(&self, digest: &Digest) -> &Index<Digest, V> {
        &self.parts[usize::from(digest.0[0])]
    }

    fn part_mut(&mut self, digest: &Digest) -> &mut Index<Digest, V> {
        &mut self.parts[usize::from(digest.0[0])]
    }
}
