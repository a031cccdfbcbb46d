//! Servers that have an item, and do not give it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    pub(super) fn no_answer(&self, now: Timestamp, item: Digest) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000_000);

    fn item(number: usize) -> Digest {
        let mut digest = [0; 20];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        Digest(digest)
    }

    #[test]
    fn an_item_counts_as_gone_when_nobody_has_answered_for_too_long() {
        let silent = Silent::default();
        let almost = START.after(PATIENCE - Duration::from_millis(1));
        assert!(!silent.no_answer(START, item(1)));
        assert!(!silent.no_answer(almost, item(1)));
        // Each has a time of its own.
        assert!(!silent.no_answer(almost, item(2)));
        assert!(silent.no_answer(START.after(PATIENCE), item(1)));
        assert!(!silent.no_answer(START.after(PATIENCE), item(2)));
    }

    #[test]
    fn who_answers_begins_anew() {
        let silent = Silent::default();
        assert!(!silent.no_answer(START, item(1)));
        silent.spoke(item(1));
        assert!(!silent.no_answer(START.after(PATIENCE), item(1)));
        assert!(silent.no_answer(START.after(2 * PATIENCE), item(1)));
    }

    #[test]
    fn a_clock_that_goes_back_ends_nobodys_patience() {
        let silent = Silent::default();
        assert!(!silent.no_answer(START.after(PATIENCE), item(1)));
        assert!(!silent.no_answer(START, item(1)));
    }

    #[test]
    fn more_than_are_remembered_begin_anew() {
        let silent = Silent::default();
        for number in 0..MOST {
            assert!(!silent.no_answer(START, item(number)));
        }
        let later = START.after(PATIENCE);
        // One that is remembered takes no more room.
        assert!(silent.no_answer(later, item(0)));
        assert_eq!(silent.since().len(), MOST);
        assert!(!silent.no_answer(later, item(MOST)));
        assert_eq!(silent.since().len(), 1);
        assert!(!silent.no_answer(later, item(0)));
    }
}
