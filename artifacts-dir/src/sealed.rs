//! What this process has sealed, and brought to the disk.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use grange_model::BlobId;

/// How many are remembered: a few megabytes of memory.
const MOST: usize = 32_768;

/// Blobs that are durable, with their lengths.
///
/// Many builds make the same few bytes: nothing is gained by bringing them to the disk each time that somebody names them. Only
/// what this process itself has synced is in here, and nothing that was deleted since.
#[derive(Debug, Default)]
pub(crate) struct Sealed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lengths: HashMap<BlobId, u64>,
    /// Counts deletions.
    deletions: u64,
}

/// When somebody began to seal a blob.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun(u64);

impl Sealed {
    pub(crate) fn begin(&self) -> Begun {
        Begun(self.state().deletions)
    }

    /// A blob is durable, unless something was deleted meanwhile: then it may have been that.
    pub(crate) fn add(&self, begun: Begun, blob: BlobId, length: u64) {
        let mut state = self.state();
        if state.deletions != begun.0 {
            return;
        }
        if state.lengths.len() >= MOST {
            state.lengths.clear();
        }
        state.lengths.insert(blob, length);
    }

    /// To be called before a blob is deleted, and after.
    ///
    /// Counter-example for before alone: somebody seals it, it is deleted, and only then is what was sealed added.
    pub(crate) fn forget(&self, blob: BlobId) {
        let mut state = self.state();
        state.deletions += 1;
        state.lengths.remove(&blob);
    }

    pub(crate) fn length(&self, blob: BlobId) -> Option<u64> {
        self.state().lengths.get(&blob).copied()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Where somebody panicked, something was not added.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOB: BlobId = BlobId([1; 32]);

    #[test]
    fn what_was_deleted_while_it_was_sealed_is_not_known_as_sealed() {
        let sealed = Sealed::default();
        let begun = sealed.begin();
        sealed.add(begun, BLOB, 5);
        assert_eq!(sealed.length(BLOB), Some(5));
        sealed.forget(BLOB);
        assert_eq!(sealed.length(BLOB), None);
        sealed.add(begun, BLOB, 5);
        assert_eq!(sealed.length(BLOB), None);
        sealed.add(sealed.begin(), BLOB, 6);
        assert_eq!(sealed.length(BLOB), Some(6));
    }

    #[test]
    fn only_so_many_are_remembered() {
        let sealed = Sealed::default();
        for number in 0..=MOST {
            let mut blob = [0; 32];
            blob[..8].copy_from_slice(&number.to_be_bytes());
            sealed.add(sealed.begin(), BlobId(blob), 1);
        }
        assert!(sealed.state().lengths.len() <= MOST);
    }
}
