//! Whether a closure can be fetched whole.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use grange_model::{Digest, Item, ItemRecord, Key, Record};

use crate::config::Cache;
use crate::remembered::AGE;
use crate::site::{Missing, Substitutes, failed, not_found};

/// Items that are looked up together.
const BATCH: usize = 500;
/// The largest closure that is looked through: some 10 MB while that lasts. Whole systems have 10,000 items.
const LARGEST: usize = 200_000;
/// How many whole closures are remembered: some 20 MB.
const MOST: usize = 200_000;

/// Items whose closures were whole when somebody looked. A client asks for one item of a closure after the other: so
/// all of it is looked at once.
#[derive(Debug, Default)]
pub(crate) struct Closures(Mutex<HashMap<(usize, Digest), Instant>>);

/// How an item stands that others refer to.
pub(crate) enum Standing {
    /// It is published here, if this is, to which it refers.
    Here(Vec<Item>),
    /// A substitute server of others has it, and all that it refers to: clients fetch it there.
    Upstream,
    /// It cannot be fetched.
    Missing,
}

impl Closures {
    fn whole_as_of(&self, cache: usize, digest: Digest) -> Option<Instant> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(cache, digest))
            .copied()
            .filter(|at| at.elapsed() < AGE)
    }

    fn put(&self, cache: usize, seen: &HashSet<Digest>, as_of: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() + seen.len() > MOST {
            all.retain(|_, at| at.elapsed() < AGE);
        }
        if all.len() + seen.len() > MOST {
            all.clear();
        }
        all.extend(seen.iter().map(|digest| ((cache, *digest), as_of)));
    }
}

impl Substitutes {
    /// Whoever is told of an item can fetch all that it refers to, and all that that refers to: level by level.
    ///
    /// Returns as of when that is true. What relies on an item that was looked at some time ago is no younger than
    /// that: otherwise two items could vouch for each other for ever.
    pub(crate) async fn check_closure(
        &self,
        number: usize,
        cache: &Cache,
        root: &ItemRecord,
    ) -> Result<Instant, Missing> {
        let mut as_of = Instant::now();
        let mut seen = HashSet::from([root.item.digest]);
        let mut level = root.references.clone();
        while !level.is_empty() {
            level.retain(|item| seen.insert(item.digest));
            if seen.len() > LARGEST {
                let what = format!("its closure has more than {LARGEST} items");
                return Err(not_found(what));
            }
            let mut unknown = Vec::with_capacity(level.len());
            for item in level {
                match self.closures.whole_as_of(number, item.digest) {
                    Some(at) => as_of = as_of.min(at),
                    None => unknown.push(item),
                }
            }
            level = Vec::new();
            for batch in unknown.chunks(BATCH) {
                let digests: Vec<_> = batch.iter().map(|item| item.digest).collect();
                let found = self.items(&digests).await?;
                let upstream = self.upstream(cache, &digests).await?;
                for ((item, found), upstream) in batch.iter().zip(found).zip(upstream) {
                    let standing = match self.standing(cache, found).await? {
                        Standing::Missing if upstream => Standing::Upstream,
                        standing => standing,
                    };
                    match standing {
                        Standing::Here(references) => level.extend(references),
                        Standing::Upstream => {}
                        Standing::Missing => {
                            let what = format!("{}, which it needs, is not here", item.name);
                            return Err(not_found(what));
                        }
                    }
                }
            }
        }
        // All that was seen is part of a whole closure, so its own is whole as well.
        self.closures.put(number, &seen, as_of);
        Ok(as_of)
    }

    /// Which of these others have.
    async fn upstream(&self, cache: &Cache, digests: &[Digest]) -> Result<Vec<bool>, Missing> {
        let keys: Vec<_> = digests.iter().copied().map(Key::Upstream).collect();
        let found = self.history.get(&keys).await.map_err(failed)?;
        let is_there = |record: Option<Record>| match record {
            Some(Record::Upstream(item)) => item.store == cache.store().as_str(),
            _ => false,
        };
        Ok(found.into_iter().map(is_there).collect())
    }

    /// The one question that is asked of each item that may lie here.
    async fn standing(
        &self,
        cache: &Cache,
        found: Option<ItemRecord>,
    ) -> Result<Standing, Missing> {
        let here = found.filter(|record| record.store == cache.store().as_str());
        Ok(match here {
            Some(record) if !self.is_withheld(&record).await? => Standing::Here(record.references),
            _ => Standing::Missing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_caches_are_apart() {
        let closures = Closures::default();
        let digest = |number: usize| {
            let mut digest = [0; 20];
            digest[..8].copy_from_slice(&(number as u64).to_le_bytes());
            Digest(digest)
        };
        let now = Instant::now();
        closures.put(0, &(0..MOST).map(digest).collect(), now);
        assert_eq!(closures.whole_as_of(0, digest(5)), Some(now));
        assert_eq!(closures.whole_as_of(1, digest(5)), None);
        closures.put(0, &HashSet::from([digest(MOST)]), now);
        assert_eq!(closures.whole_as_of(0, digest(5)), None);
        assert_eq!(closures.whole_as_of(0, digest(MOST)), Some(now));
    }
}
