//! What is kept from garbage collection.
//!
//! A daemon keeps an item that a client named with add-temp-root until that client's connection closes, and there is no
//! way to take one item back. So all of them are held on one connection; to take items back, a new connection is given
//! all the others before the old one is closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use grange_derivation::StorePath;

use crate::connection::Connection;
use crate::error::DaemonError;
use crate::pool::Pool;

/// Below so many items it does not matter how many of them nobody needs any more.
const FEW: usize = 1024;

/// All that is kept.
#[derive(Debug)]
pub(crate) struct Roots {
    pool: Arc<Pool>,
    linger: Duration,
    /// What the connection keeps.
    held: Arc<Mutex<Held>>,
    /// Locked while `held` and the connection are brought into line.
    keeper: tokio::sync::Mutex<Option<Keeper>>,
}

#[derive(Debug)]
struct Keeper {
    connection: Connection,
    /// Whether something was asked and the answer has not been read: then its place in the stream is not known. It still
    /// keeps what it kept, so it stays open until another one does.
    busy: bool,
}

#[derive(Debug, Default)]
struct Held {
    items: HashMap<StorePath, Entry>,
    /// With so many items, those that nobody needs any more are looked for.
    look_at: usize,
}

#[derive(Debug)]
struct Entry {
    /// How many [`Hold`]s name it.
    holds: u32,
    /// Until when it is kept without.
    until: Instant,
}

/// Keeps items from garbage collection; once dropped, they are kept for the time to linger.
#[derive(Debug)]
pub(crate) struct Hold {
    held: Arc<Mutex<Held>>,
    paths: Vec<StorePath>,
    linger: Duration,
}

impl Roots {
    pub(crate) fn new(pool: Arc<Pool>, linger: Duration) -> Self {
        Self {
            pool,
            linger,
            held: Arc::default(),
            keeper: tokio::sync::Mutex::default(),
        }
    }

    /// Keeps these items. They need not be valid yet.
    pub(crate) async fn hold(&self, paths: &[StorePath]) -> Result<Hold, DaemonError> {
        let mut guard = self.keeper.lock().await;
        let crowded = {
            let held = lock(&self.held);
            held.items.len() > held.look_at.max(FEW)
        };
        let usable = guard.as_ref().is_some_and(Keeper::is_usable);
        if crowded || !usable {
            let now = Instant::now();
            self.renew(&mut guard, |_, entry| entry.needed(now)).await?;
        }
        let new: Vec<_> = {
            let held = lock(&self.held);
            let new = paths.iter().filter(|path| !held.items.contains_key(*path));
            new.cloned().collect()
        };
        if let Some(keeper) = guard.as_mut() {
            keeper.busy = true;
            for path in &new {
                keeper.connection.add_temp_root(path).await?;
            }
            keeper.busy = false;
        }
        Ok(self.enter(paths))
    }

    fn enter(&self, paths: &[StorePath]) -> Hold {
        let mut held = lock(&self.held);
        let until = Instant::now();
        for path in paths {
            let entry = held.items.entry(path.clone());
            entry.or_insert(Entry { holds: 0, until }).holds += 1;
        }
        Hold {
            held: Arc::clone(&self.held),
            paths: paths.to_vec(),
            linger: self.linger,
        }
    }

    /// Keeps these items no longer; an error if something here still needs one.
    pub(crate) async fn release(
        &self,
        paths: &[StorePath],
    ) -> Result<Result<(), Needed>, DaemonError> {
        let mut guard = self.keeper.lock().await;
        {
            let held = lock(&self.held);
            let entries = paths.iter().filter_map(|path| held.items.get(path));
            let holds: Vec<_> = entries.map(|entry| entry.holds).collect();
            if holds.iter().any(|holds| *holds > 0) {
                return Ok(Err(Needed));
            }
            if holds.is_empty() {
                return Ok(Ok(()));
            }
        }
        let now = Instant::now();
        let needed = |other: &StorePath, entry: &Entry| !paths.contains(other) && entry.needed(now);
        self.renew(&mut guard, needed).await?;
        Ok(Ok(()))
    }

    /// Keeps only what something here needs.
    pub(crate) async fn release_lingering(&self) -> Result<(), DaemonError> {
        let mut guard = self.keeper.lock().await;
        self.renew(&mut guard, |_, entry| entry.holds > 0).await
    }

    /// Puts what is needed on a new connection, and closes the old one.
    async fn renew(
        &self,
        old: &mut Option<Keeper>,
        needed: impl Fn(&StorePath, &Entry) -> bool,
    ) -> Result<(), DaemonError> {
        let keep: Vec<_> = {
            let held = lock(&self.held);
            let keep = held
                .items
                .iter()
                .filter(|(path, entry)| needed(path, entry));
            keep.map(|(path, _)| path.clone()).collect()
        };
        let mut connection = self.pool.open().await?;
        for path in &keep {
            connection.add_temp_root(path).await?;
        }
        let mut held = lock(&self.held);
        let mut items: HashMap<_, _> = HashMap::with_capacity(keep.len());
        for path in keep {
            if let Some(entry) = held.items.remove(&path) {
                items.insert(path, entry);
            }
        }
        held.look_at = 2 * items.len();
        held.items = items;
        *old = Some(Keeper {
            connection,
            busy: false,
        });
        Ok(())
    }
}

impl Keeper {
    fn is_usable(&self) -> bool {
        !self.busy && self.connection.is_usable()
    }
}

/// Something here needs the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needed;

impl Entry {
    fn needed(&self, now: Instant) -> bool {
        self.holds > 0 || self.until > now
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        let until = Instant::now() + self.linger;
        for path in &self.paths {
            if let Some(entry) = held.items.get_mut(path) {
                entry.holds = entry.holds.saturating_sub(1);
                entry.until = entry.until.max(until);
            }
        }
    }
}

fn lock(held: &Mutex<Held>) -> std::sync::MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
