//! What many rows have in common, kept once.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Values, each once.
#[derive(Debug)]
pub(crate) struct Shared<T>(BTreeSet<Arc<T>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T: Ord> Shared<T> {
    /// The value, shared with all that are equal.
    pub(crate) fn join(&mut self, value: T) -> Arc<T> {
        if let Some(known) = self.0.get(&value) {
            return Arc::clone(known);
        }
        let value = Arc::new(value);
        self.0.insert(Arc::clone(&value));
        value
    }

    /// A row is about to go that has this value.
    pub(crate) fn leave(&mut self, value: &Arc<T>) {
        // The row's own, and that of the set.
        if Arc::strong_count(value) == 2 {
            self.0.remove(value);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
