//! Items that attempts need: no other attempt of this agent may delete them meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grange_derivation::StorePath;
use tokio::sync::Notify;

/// How many attempts need each item, and what is being deleted.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    items: Mutex<Items>,
    spared: Notify,
}

#[derive(Debug, Default)]
struct Items {
    claimed: HashMap<StorePath, usize>,
    /// By how many.
    doomed: HashMap<StorePath, usize>,
}

/// Items that one attempt needs, as long as this lives.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Arc<Claims>,
    paths: Vec<StorePath>,
}

/// An item that nobody needs and that is being deleted, as long as this lives.
#[derive(Debug)]
pub(crate) struct Doom {
    claims: Arc<Claims>,
    path: StorePath,
}

impl Claims {
    pub(crate) fn claim(self: &Arc<Self>, paths: Vec<StorePath>) -> Claim {
        let mut items = self.items();
        for path in &paths {
            *items.claimed.entry(path.clone()).or_default() += 1;
        }
        drop(items);
        Claim {
            claims: Arc::clone(self),
            paths,
        }
    }

    /// All that attempts need.
    pub(crate) fn all(&self) -> Vec<StorePath> {
        self.items().claimed.keys().cloned().collect()
    }

    /// Says that an item is being deleted; none if an attempt needs it.
    pub(crate) fn doom(self: &Arc<Self>, path: &StorePath) -> Option<Doom> {
        let mut items = self.items();
        if items.claimed.contains_key(path) {
            return None;
        }
        *items.doomed.entry(path.clone()).or_default() += 1;
        drop(items);
        Some(Doom {
            claims: Arc::clone(self),
            path: path.clone(),
        })
    }

    /// Returns when none of these is being deleted. Whoever has claimed them may look then which are here.
    ///
    /// Counter-example for not waiting: an attempt's output is sent, nobody needs it, and its deletion begins; the next
    /// attempt claims it, finds it here, and has no such input when it builds.
    pub(crate) async fn settled(&self, paths: &[StorePath]) {
        loop {
            let spared = self.spared.notified();
            if !paths
                .iter()
                .any(|path| self.items().doomed.contains_key(path))
            {
                return;
            }
            spared.await;
        }
    }

    fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Doom {
    fn drop(&mut self) {
        leave(&mut self.claims.items().doomed, &self.path);
        self.claims.spared.notify_waiters();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut items = self.claims.items();
        for path in &self.paths {
            leave(&mut items.claimed, path);
        }
    }
}

/// One less.
fn leave(counts: &mut HashMap<StorePath, usize>, path: &StorePath) {
    if let Some(count) = counts.get_mut(path) {
        *count -= 1;
        if *count == 0 {
            counts.remove(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use grange_derivation::StoreDir;

    use super::*;

    #[test]
    fn an_item_is_claimed_until_the_last_claim_is_gone() {
        let path = StorePath::new(&StoreDir::guix(), [1; 20], "a").unwrap();
        let claims = Arc::new(Claims::default());
        let first = claims.claim(vec![path.clone()]);
        let second = claims.claim(vec![path.clone()]);
        drop(first);
        assert!(claims.doom(&path).is_none());
        drop(second);
        assert!(claims.doom(&path).is_some());
    }

    #[tokio::test]
    async fn whoever_claims_what_is_being_deleted_waits_for_that() {
        let path = StorePath::new(&StoreDir::guix(), [1; 20], "a").unwrap();
        let claims = Arc::new(Claims::default());
        let doom = claims.doom(&path).unwrap();
        // Another one deletes it, too, and is done sooner.
        drop(claims.doom(&path).unwrap());
        let claim = claims.claim(vec![path.clone()]);
        let paths = [path.clone()];
        let mut settled = std::pin::pin!(claims.settled(&paths));
        assert!(futures::poll!(&mut settled).is_pending());
        drop(doom);
        settled.await;
        assert!(claims.doom(&path).is_none());
        drop(claim);
        assert!(claims.doom(&path).is_some());
        claims.settled(&paths).await;
    }
}
