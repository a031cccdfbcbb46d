//! What was asked for lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use grange_model::{BlobId, Digest, ItemRecord};

/// How many are kept: some 50 MB at most of those that farms have.
const MOST: usize = 50_000;
/// How long. What is deleted meanwhile is still said to be here for so long; clients believe what they were told for
/// longer, see [`crate::SubstitutesConfig::found_for`].
pub(crate) const AGE: Duration = Duration::from_secs(60);

/// An item that is published.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Its narinfo, printed and signed: to sign it takes longer than all the rest of an answer.
    pub(crate) narinfo: Bytes,
    pub(crate) nar: Nar,
    /// As of when all of that is true.
    pub(crate) as_of: Instant,
}

/// Where an item's nar lies.
#[derive(Clone, Debug)]
pub(crate) struct Nar {
    /// The name of the item.
    pub(crate) name: Arc<str>,
    /// Its nar, compressed.
    pub(crate) blob: BlobId,
    /// Bytes of the blob.
    pub(crate) blob_size: u64,
    /// Bytes of the nar.
    pub(crate) size: u64,
}

/// Items that were asked for lately: no record is read for them.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<HashMap<(usize, Digest), Known>>);

impl Remembered {
    pub(crate) fn get(&self, cache: usize, digest: Digest) -> Option<Known> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&(cache, digest))?;
        (known.as_of.elapsed() < AGE).then(|| known.clone())
    }

    pub(crate) fn put(&self, cache: usize, digest: Digest, known: Known) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, known| known.as_of.elapsed() < AGE);
        }
        if all.len() >= MOST {
            all.clear();
        }
        all.insert((cache, digest), known);
    }
}

impl From<&ItemRecord> for Nar {
    fn from(record: &ItemRecord) -> Self {
        Self {
            name: record.item.name.as_str().into(),
            blob: record.blob,
            blob_size: record.blob_size,
            size: record.nar_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let remembered = Remembered::default();
        let known = Known {
            narinfo: Bytes::new(),
            nar: Nar {
                name: "".into(),
                blob: BlobId([0; 32]),
                blob_size: 0,
                size: 0,
            },
            as_of: Instant::now(),
        };
        for number in 0..=MOST {
            let mut digest = [0; 20];
            digest[..8].copy_from_slice(&(number as u64).to_le_bytes());
            remembered.put(0, Digest(digest), known.clone());
        }
        assert!(remembered.0.lock().unwrap().len() <= MOST);
        assert!(remembered.get(1, Digest([0; 20])).is_none());
    }
}
