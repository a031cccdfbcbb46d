//! Servers that have an item, and do not give it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grange_interfaces::Clock;
use grange_model::{Digest, Timestamp};

/// How long an item is waited for: then it counts as gone, and is built. A server that is started anew is back by then.
const PATIENCE: Duration = Duration::from_mins(10);
/// Of how many items is it remembered; of more, all begin anew.
const MOST: usize = 10_000;

/// Since when items could not be had whose servers do not answer.
///
/// Counter-example for asking for ever: a server is taken down for good. What it had counts as available, so that nobody
/// builds it, and each build that needs it waits.
#[derive(Debug, Default)]
pub(crate) struct Silent(Mutex<BTreeMap<Digest, Timestamp>>);

impl Silent {
    /// No server answers for the item now; whether that has been so for too long.
    pub(super) fn has_been(&self, item: Digest, clock: &dyn Clock) -> bool {
        let now = clock.now();
        let mut since = self.since();
        if since.len() >= MOST && !since.contains_key(&item) {
            since.clear();
        }
        now.since(*since.entry(item).or_insert(now)) >= PATIENCE
    }

    /// A server has answered.
    pub(super) fn spoke(&self, item: Digest) {
        self.since().remove(&item);
    }

    fn since(&self) -> MutexGuard<'_, BTreeMap<Digest, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
