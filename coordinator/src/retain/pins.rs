//! What must not be swept although no record names it yet.
//!
//! A blob is sealed before a record names it, and an attempt may bring bytes that have been here for
//! long. Counter-example for looking at the records alone: a sweep reads them all and finds that none
//! names a blob; a report finds the same blob here, need not have it sent, and commits a record that
//! names it; the sweep deletes it.
//!
//! So whoever is about to rely on a blob pins it first, until the commit that names it is
//! acknowledged. What a sweep may delete are its *candidates*: a pin takes the blob out of them for
//! good, and what is pinned never becomes one. A pin of a blob that is just being deleted waits until
//! it is gone, and then finds that it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grange_model::BlobId;
use tokio::sync::Notify;

/// Shared by whatever takes blobs in and the sweep.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    state: Mutex<State>,
    deleted: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How often each blob is pinned.
    pinned: BTreeMap<BlobId, usize>,
    sweeping: bool,
    candidates: BTreeSet<BlobId>,
    deleting: Option<BlobId>,
}

/// As long as it is there, no sweep deletes the blob.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Arc<Pins>,
    blob: BlobId,
}

/// The right to sweep: one at a time.
#[derive(Debug)]
pub(crate) struct Candidates {
    pins: Arc<Pins>,
}

/// A blob that goes: pins of it wait as long as this is there.
#[derive(Debug)]
pub(crate) struct Doomed {
    pins: Arc<Pins>,
    pub(crate) blob: BlobId,
}

impl Pins {
    /// Pins a blob, whether it is there or not.
    pub(crate) async fn pin(self: &Arc<Self>, blob: BlobId) -> Pin {
        loop {
            // Made before the look, so that a deletion that ends between the two is noticed.
            let deleted = self.deleted.notified();
            {
                let mut state = self.state();
                if state.deleting != Some(blob) {
                    state.candidates.remove(&blob);
                    *state.pinned.entry(blob).or_default() += 1;
                    let pins = Arc::clone(self);
                    return Pin { pins, blob };
                }
            }
            deleted.await;
        }
    }

    /// Begins a sweep, unless one is under way.
    pub(crate) fn begin_sweep(self: &Arc<Self>) -> Option<Candidates> {
        let mut state = self.state();
        (!std::mem::replace(&mut state.sweeping, true)).then(|| Candidates {
            pins: Arc::clone(self),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Candidates {
    /// Adds a blob that lies here, unless it is pinned.
    pub(crate) fn add(&self, blob: BlobId) {
        let mut state = self.pins.state();
        if !state.pinned.contains_key(&blob) {
            state.candidates.insert(blob);
        }
    }

    /// A record names these.
    pub(crate) fn keep(&self, named: impl IntoIterator<Item = BlobId>) {
        let mut state = self.pins.state();
        for blob in named {
            state.candidates.remove(&blob);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pins.state().candidates.len()
    }

    /// The next one that goes.
    pub(crate) fn next(&self) -> Option<Doomed> {
        let mut state = self.pins.state();
        let blob = state.candidates.pop_first()?;
        state.deleting = Some(blob);
        let pins = Arc::clone(&self.pins);
        Some(Doomed { pins, blob })
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.pins.state();
        if let Some(count) = state.pinned.get_mut(&self.blob) {
            *count -= 1;
            if *count == 0 {
                state.pinned.remove(&self.blob);
            }
        }
    }
}

impl Drop for Candidates {
    fn drop(&mut self) {
        let mut state = self.pins.state();
        state.candidates.clear();
        state.sweeping = false;
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        self.pins.state().deleting = None;
        self.pins.deleted.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const BLOB: BlobId = BlobId([1; 32]);

    fn pin(pins: &Arc<Pins>) -> Pin {
        pins.pin(BLOB).now_or_never().unwrap()
    }

    #[test]
    fn what_was_pinned_during_a_sweep_stays() {
        let pins = Arc::new(Pins::default());
        let sweep = pins.begin_sweep().unwrap();
        sweep.add(BLOB);
        drop(pin(&pins));
        assert!(sweep.next().is_none());
    }

    #[test]
    fn what_is_pinned_twice_stays_until_both_are_gone() {
        let pins = Arc::new(Pins::default());
        let sweep = pins.begin_sweep().unwrap();
        let (one, other) = (pin(&pins), pin(&pins));
        drop(one);
        sweep.add(BLOB);
        assert_eq!(sweep.len(), 0);
        drop(other);
        sweep.add(BLOB);
        assert_eq!(sweep.next().unwrap().blob, BLOB);
    }

    #[test]
    fn a_pin_of_what_is_being_deleted_waits() {
        let pins = Arc::new(Pins::default());
        let sweep = pins.begin_sweep().unwrap();
        sweep.add(BLOB);
        let doomed = sweep.next().unwrap();
        let mut waits = Box::pin(pins.pin(BLOB));
        assert!(waits.as_mut().now_or_never().is_none());
        assert!(pins.pin(BlobId([2; 32])).now_or_never().is_some());
        drop(doomed);
        assert!(waits.now_or_never().is_some());
    }

    #[test]
    fn sweeps_come_one_after_the_other() {
        let pins = Arc::new(Pins::default());
        let sweep = pins.begin_sweep().unwrap();
        sweep.add(BLOB);
        assert!(pins.begin_sweep().is_none());
        drop(sweep);
        assert!(pins.begin_sweep().unwrap().next().is_none());
    }
}
