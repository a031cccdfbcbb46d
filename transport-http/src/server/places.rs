//! How many connections there are, and who goes when there are too many.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::watch::Watch;
use crate::Limits;

/// The places of a server's connections.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    connections: BTreeMap<u64, Arc<Watch>>,
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    pub(super) watch: Arc<Watch>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(limits.connections)),
            taken: Mutex::default(),
        })
    }

    /// A place that is free.
    pub(super) fn take(self: &Arc<Self>, limits: &Limits) -> Option<Place> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(self.give(permit, limits))
    }

    /// The next place that becomes free.
    pub(super) async fn wait(self: &Arc<Self>, limits: &Limits) -> Option<Place> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(self.give(permit, limits))
    }

    /// Tells the connection to leave that has had no request for the longest time; whether there is one.
    ///
    /// Who opens connections and says nothing would otherwise keep out everybody for as long as connections may be
    /// idle, at no cost of his own. A client knows that a connection which it does not use may be closed (RFC 9112,
    /// 9.5), and opens another one.
    pub(super) fn make_room(&self) -> bool {
        let taken = self.lock();
        let idle = taken.connections.values();
        let longest = idle
            .filter_map(|watch| Some((watch.idle_since()?, watch)))
            .min_by_key(|(since, _)| *since);
        let Some((_, watch)) = longest else {
            return false;
        };
        watch.leave();
        true
    }

    fn give(self: &Arc<Self>, permit: OwnedSemaphorePermit, limits: &Limits) -> Place {
        let watch = Watch::new(limits);
        let mut taken = self.lock();
        let number = taken.next;
        taken.next += 1;
        taken.connections.insert(number, Arc::clone(&watch));
        drop(taken);
        Place {
            places: Arc::clone(self),
            number,
            watch,
            _permit: permit,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().connections.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_was_idle_for_the_longest_time_leaves_and_who_is_busy_stays() {
        let limits = Limits {
            connections: 3,
            ..Limits::default()
        };
        let places = Places::new(&limits);
        let mut three = Vec::new();
        for _ in 0..3 {
            three.push(places.take(&limits).unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(places.take(&limits).is_none());
        let busy = three[0].watch.request(false);
        assert!(places.make_room());
        three[1].watch.told_to_leave().await;
        // One that was told once is not told again.
        assert!(places.make_room());
        three[2].watch.told_to_leave().await;
        assert!(!places.make_room());
        drop(busy);
        assert!(places.make_room());
        three[0].watch.told_to_leave().await;
        three.pop();
        assert!(places.wait(&limits).await.is_some());
    }
}
