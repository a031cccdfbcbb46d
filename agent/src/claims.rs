//! Items that attempts need: no other attempt of this agent may delete them meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use grange_derivation::StorePath;

/// How many attempts need each item.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashMap<StorePath, usize>>);

/// Items that one attempt needs, as long as this lives.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Arc<Claims>,
    paths: Vec<StorePath>,
}

impl Claims {
    pub(crate) fn claim(self: &Arc<Self>, paths: Vec<StorePath>) -> Claim {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for path in &paths {
            *counts.entry(path.clone()).or_default() += 1;
        }
        Claim {
            claims: Arc::clone(self),
            paths,
        }
    }

    /// All that attempts need.
    pub(crate) fn all(&self) -> Vec<StorePath> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.keys().cloned().collect()
    }

    pub(crate) fn is_claimed(&self, path: &StorePath) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(path)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut counts = self.claims.0.lock().unwrap_or_else(PoisonError::into_inner);
        for path in &self.paths {
            if let Some(count) = counts.get_mut(path) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(path);
                }
            }
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
        assert!(claims.is_claimed(&path));
        drop(second);
        assert!(!claims.is_claimed(&path));
    }
}
