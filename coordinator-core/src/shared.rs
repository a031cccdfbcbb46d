//! What many rows have in common, kept once.

use std::hash::{BuildHasher as _, Hasher};
use std::sync::Arc;

use hashbrown::HashTable;

/// What is kept once for all rows that have the same of it.
pub(crate) trait Common {
    /// What it is said in. Most often it is known already: then nothing of this is copied.
    type Source;

    fn of(source: &Self::Source) -> Self;

    /// Whether it would be made of this.
    fn is_of(&self, source: &Self::Source) -> bool;

    /// Hashes what it would be made of this.
    fn hash_of(source: &Self::Source, state: &mut impl Hasher);

    /// Hashes it, as [`hash_of`](Self::hash_of) did before it was made.
    fn hash(&self, state: &mut impl Hasher);
}

/// Values, each once.
#[derive(Debug)]
pub(crate) struct Shared<T>(HashTable<(u64, Arc<T>)>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<T: Common> Shared<T> {
    /// The value that is made of this, shared with all that are equal.
    pub(crate) fn join(&mut self, source: &T::Source) -> Arc<T> {
        let hash = finish(|state| T::hash_of(source, state));
        if let Some((_, known)) = self.0.find(hash, |(_, known)| known.is_of(source)) {
            return Arc::clone(known);
        }
        let value = Arc::new(T::of(source));
        let entry = (hash, Arc::clone(&value));
        self.0.insert_unique(hash, entry, |(hash, _)| *hash);
        value
    }

    /// A row is about to go that has this value.
    pub(crate) fn leave(&mut self, value: &Arc<T>) {
        // The row's own, and that of the table.
        if Arc::strong_count(value) == 2 {
            let hash = finish(|state| value.hash(state));
            let found = self
                .0
                .find_entry(hash, |(_, known)| Arc::ptr_eq(known, value));
            if let Ok(entry) = found {
                entry.remove();
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn finish<'a>(feed: impl FnOnce(&mut foldhash::fast::FoldHasher<'a>)) -> u64 {
    let mut state = foldhash::fast::FixedState::default().build_hasher();
    feed(&mut state);
    state.finish()
}
