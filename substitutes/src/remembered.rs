//! Narinfos that were asked for lately.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use grange_model::Digest;

/// How many are kept: some 50 MB at most of those that farms have.
const MOST: usize = 50_000;
/// How long. What is deleted meanwhile is still said to be here for so long.
const AGE: Duration = Duration::from_secs(60);

/// Printed and signed narinfos: to sign one takes longer than all the rest of an answer.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<HashMap<(usize, Digest), (Instant, Bytes)>>);

impl Remembered {
    pub(crate) fn get(&self, cache: usize, digest: Digest) -> Option<Bytes> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, text) = all.get(&(cache, digest))?;
        (at.elapsed() < AGE).then(|| text.clone())
    }

    pub(crate) fn put(&self, cache: usize, digest: Digest, text: Bytes) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, (at, _)| at.elapsed() < AGE);
        }
        if all.len() >= MOST {
            all.clear();
        }
        all.insert((cache, digest), (Instant::now(), text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let remembered = Remembered::default();
        for number in 0..=MOST {
            let mut digest = [0; 20];
            digest[..8].copy_from_slice(&(number as u64).to_le_bytes());
            remembered.put(0, Digest(digest), Bytes::new());
        }
        assert!(remembered.0.lock().unwrap().len() <= MOST);
        assert!(remembered.get(1, Digest([0; 20])).is_none());
    }
}
