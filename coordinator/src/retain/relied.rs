//! Which items must not be pruned although nothing that is written needs them yet.
//!
//! Counter-example for looking at the records alone: a prune has read them all, and nothing refers to
//! output `x`. A client sends a source that refers to `x`, which is verified (`x` is here) and
//! committed; then the prune deletes `x`. The source was acknowledged, and its closure is not whole.
//!
//! So whoever is about to write something that refers to an item relies on it first, before it looks
//! whether the item is here, until what refers to it is acknowledged. A prune deletes nothing that
//! was relied on since it began, nor what that refers to. Who wants to rely on an item that is just
//! being deleted waits until it is gone, and then finds that it is.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grange_model::Digest;
use tokio::sync::Notify;

/// Shared by whatever takes items and derivations in, and the prune.
#[derive(Debug, Default)]
pub(crate) struct Relied {
    state: Mutex<State>,
    deleted: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How often each item is relied on.
    now: HashMap<Digest, usize>,
    /// All that was relied on since a prune began, if one is under way.
    since: Option<HashSet<Digest>>,
    deleting: HashSet<Digest>,
}

/// As long as it is there, these items stay.
#[derive(Debug)]
pub(crate) struct Reliance {
    relied: Arc<Relied>,
    items: Vec<Digest>,
}

/// The right to prune: one at a time.
#[derive(Debug)]
pub(crate) struct Watch(Arc<Relied>);

/// Items that go: whoever wants to rely on one of them waits as long as this is there.
#[derive(Debug)]
pub(crate) struct Doomed(Arc<Relied>);

impl Relied {
    /// Relies on items, whether they are here or not.
    pub(crate) async fn rely(self: &Arc<Self>, items: Vec<Digest>) -> Reliance {
        loop {
            // Made before the look, so that a deletion that ends between the two is noticed.
            let deleted = self.deleted.notified();
            {
                let mut state = self.state();
                if !items.iter().any(|item| state.deleting.contains(item)) {
                    for item in &items {
                        *state.now.entry(*item).or_default() += 1;
                    }
                    if let Some(since) = &mut state.since {
                        since.extend(items.iter().copied());
                    }
                    let relied = Arc::clone(self);
                    return Reliance { relied, items };
                }
            }
            deleted.await;
        }
    }

    /// Begins a prune, unless one is under way.
    pub(crate) fn watch(self: &Arc<Self>) -> Option<Watch> {
        let mut state = self.state();
        if state.since.is_some() {
            return None;
        }
        state.since = Some(state.now.keys().copied().collect());
        Some(Watch(Arc::clone(self)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Those of the items that were relied on; the others go, so that nobody can rely on them now.
    pub(crate) fn doom(&self, items: &[Digest]) -> (Vec<Digest>, Doomed) {
        let mut state = self.0.state();
        let since = state.since.take().unwrap_or_default();
        let relied = items.iter().filter(|item| since.contains(*item));
        let relied = relied.copied().collect();
        let goes = items.iter().filter(|item| !since.contains(*item));
        state.deleting = goes.copied().collect();
        state.since = Some(since);
        (relied, Doomed(Arc::clone(&self.0)))
    }
}

impl Drop for Reliance {
    fn drop(&mut self) {
        let mut state = self.relied.state();
        for item in &self.items {
            if let Some(count) = state.now.get_mut(item) {
                *count -= 1;
                if *count == 0 {
                    state.now.remove(item);
                }
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.state().since = None;
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        self.0.state().deleting.clear();
        self.0.deleted.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const A: Digest = Digest([1; 20]);
    const B: Digest = Digest([2; 20]);

    fn rely(relied: &Arc<Relied>, items: &[Digest]) -> Reliance {
        relied.rely(items.to_vec()).now_or_never().unwrap()
    }

    #[test]
    fn what_was_relied_on_since_a_prune_began_stays() {
        let relied = Arc::new(Relied::default());
        drop(rely(&relied, &[A]));
        let before = rely(&relied, &[B]);
        let watch = relied.watch().unwrap();
        drop(before);
        assert_eq!(watch.doom(&[A, B]).0, [B]);
        drop(rely(&relied, &[A]));
        assert_eq!(watch.doom(&[A, B]).0, [A, B]);
        drop(watch);
        assert_eq!(relied.watch().unwrap().doom(&[A, B]).0, []);
    }

    #[test]
    fn what_is_relied_on_twice_stays_until_both_are_gone() {
        let relied = Arc::new(Relied::default());
        let (one, other) = (rely(&relied, &[A, B]), rely(&relied, &[A]));
        drop(one);
        assert_eq!(relied.watch().unwrap().doom(&[A, B]).0, [A]);
        drop(other);
        assert_eq!(relied.watch().unwrap().doom(&[A, B]).0, []);
    }

    #[test]
    fn who_relies_on_what_is_being_deleted_waits() {
        let relied = Arc::new(Relied::default());
        let watch = relied.watch().unwrap();
        let (_, doomed) = watch.doom(&[A]);
        let mut waits = Box::pin(relied.rely(vec![B, A]));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(rely(&relied, &[B]));
        drop(doomed);
        assert!(waits.now_or_never().is_some());
    }

    #[test]
    fn prunes_come_one_after_the_other() {
        let relied = Arc::new(Relied::default());
        let watch = relied.watch().unwrap();
        assert!(relied.watch().is_none());
        drop(watch);
        assert!(relied.watch().is_some());
    }
}
