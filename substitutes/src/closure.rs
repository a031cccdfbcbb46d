//! Whether a closure can be fetched whole.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use grange_model::{Digest, Item, ItemRecord, Key, Record};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::Cache;
use crate::remembered::AGE;
use crate::site::{Missing, Substitutes, failed, not_found};

/// Items that are looked up together.
const BATCH: usize = 500;
/// The largest closure that is looked through: some 10 MB while that lasts. Whole systems have 10,000 items.
const LARGEST: usize = 200_000;
/// How many whole closures are remembered: some 20 MB.
const MOST: usize = 200_000;

/// How many closures are looked through at once.
const AT_ONCE: usize = 4;
/// How long somebody waits for that before being told to come again.
const WAIT: Duration = Duration::from_secs(10);
/// How many closures are remembered that were not whole: some 3 MB.
const MOST_LACKING: usize = 20_000;
/// How long they are.
const LACKING_AGE: Duration = Duration::from_secs(10);

/// What is known of closures.
#[derive(Debug)]
pub(crate) struct Closures {
    /// Items whose closures were whole when somebody looked. A client asks for one item of a closure after the other:
    /// so all of it is looked at once.
    whole: Mutex<HashMap<(usize, Digest), Instant>>,
    /// Items whose closures were not.
    lacking: Mutex<HashMap<(usize, Digest), (Lack, Instant)>>,
    walks: Semaphore,
}

/// Why a closure cannot be fetched whole.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lack {
    /// This is part of it, and not here.
    Item(Item),
    /// It has more items than are looked at.
    TooLarge,
}

/// How an item stands that others refer to.
pub(crate) enum Standing {
    /// It is published here, if this is, to which it refers.
    Here(Vec<Item>),
    /// A substitute server of others has it, and all that it refers to: clients fetch it there.
    Upstream,
    /// It cannot be fetched.
    Missing,
}

impl Default for Closures {
    fn default() -> Self {
        Self {
            whole: Mutex::default(),
            lacking: Mutex::default(),
            walks: Semaphore::new(AT_ONCE),
        }
    }
}

impl Closures {
    fn whole_as_of(&self, cache: usize, digest: Digest) -> Option<Instant> {
        let all = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(cache, digest))
            .copied()
            .filter(|at| at.elapsed() < AGE)
    }

    fn put(&self, cache: usize, seen: &HashSet<Digest>, as_of: Instant) {
        let mut all = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() + seen.len() > MOST {
            all.retain(|_, at| at.elapsed() < AGE);
        }
        if all.len() + seen.len() > MOST {
            all.clear();
        }
        all.extend(seen.iter().map(|digest| ((cache, *digest), as_of)));
    }

    fn lack(&self, cache: usize, digest: Digest) -> Option<Lack> {
        let all = self.lacking.lock().unwrap_or_else(PoisonError::into_inner);
        let (lack, at) = all.get(&(cache, digest))?;
        (at.elapsed() < LACKING_AGE).then(|| lack.clone())
    }

    fn put_lack(&self, cache: usize, digest: Digest, lack: Lack) {
        let mut all = self.lacking.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_LACKING {
            all.retain(|_, (_, at)| at.elapsed() < LACKING_AGE);
        }
        if all.len() >= MOST_LACKING {
            all.clear();
        }
        all.insert((cache, digest), (lack, Instant::now()));
    }
}

impl From<Lack> for Missing {
    fn from(lack: Lack) -> Self {
        not_found(match lack {
            Lack::Item(item) => format!("{}, which it needs, is not here", item.name),
            Lack::TooLarge => format!("its closure has more than {LARGEST} items"),
        })
    }
}

impl Substitutes {
    /// Whoever is told of an item can fetch all that it refers to, and all that that refers to.
    ///
    /// Returns as of when that is true. What relies on an item that was looked at some time ago is no younger than
    /// that: otherwise two items could vouch for each other for ever.
    pub(crate) async fn check_closure(
        &self,
        number: usize,
        cache: &Cache,
        root: &ItemRecord,
    ) -> Result<Instant, Missing> {
        if let Some(as_of) = self.known_closure(number, cache, root).await? {
            return Ok(as_of);
        }
        let busy = Missing::Busy("too many closures are being looked through");
        let Ok(Ok(_place)) = timeout(WAIT, self.closures.walks.acquire()).await else {
            return Err(busy);
        };
        // Somebody else may have been first meanwhile.
        if let Some(as_of) = self.known_closure(number, cache, root).await? {
            return Ok(as_of);
        }
        match self.walk(number, cache, root).await? {
            Ok(as_of) => Ok(as_of),
            Err(lack) => {
                let digest = root.item.digest;
                self.closures.put_lack(number, digest, lack.clone());
                Err(lack.into())
            }
        }
    }

    /// What can be said of a closure without looking through it, if anything: what it lacked a moment ago is looked for
    /// once more.
    async fn known_closure(
        &self,
        number: usize,
        cache: &Cache,
        root: &ItemRecord,
    ) -> Result<Option<Instant>, Missing> {
        let others = root.references.iter().map(|item| item.digest);
        let others = others.filter(|digest| *digest != root.item.digest);
        let whole = others.map(|digest| self.closures.whole_as_of(number, digest));
        let now = Instant::now();
        if let Some(as_of) = whole.into_iter().try_fold(now, |at, it| Some(at.min(it?))) {
            let seen = HashSet::from([root.item.digest]);
            self.closures.put(number, &seen, as_of);
            return Ok(Some(as_of));
        }
        match self.closures.lack(number, root.item.digest) {
            None => Ok(None),
            Some(Lack::Item(item)) => match &self.standings(cache, &[item.digest]).await?[..] {
                [Standing::Missing] => Err(Lack::Item(item).into()),
                _ => Ok(None),
            },
            Some(Lack::TooLarge) => Err(Lack::TooLarge.into()),
        }
    }

    /// Looks through a closure, level by level.
    async fn walk(
        &self,
        number: usize,
        cache: &Cache,
        root: &ItemRecord,
    ) -> Result<Result<Instant, Lack>, Missing> {
        let mut as_of = Instant::now();
        let mut seen = HashSet::from([root.item.digest]);
        let mut level = root.references.clone();
        while !level.is_empty() {
            level.retain(|item| seen.insert(item.digest));
            if seen.len() > LARGEST {
                return Ok(Err(Lack::TooLarge));
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
                let standings = self.standings(cache, &digests).await?;
                for (item, standing) in batch.iter().zip(standings) {
                    match standing {
                        Standing::Here(references) => level.extend(references),
                        Standing::Upstream => {}
                        Standing::Missing => return Ok(Err(Lack::Item(item.clone()))),
                    }
                }
            }
        }
        // All that was seen is part of a whole closure, so its own is whole as well.
        self.closures.put(number, &seen, as_of);
        Ok(Ok(as_of))
    }

    /// How these items stand.
    async fn standings(&self, cache: &Cache, digests: &[Digest]) -> Result<Vec<Standing>, Missing> {
        let found = self.items(digests).await?;
        let upstream = self.upstream(cache, digests).await?;
        let mut standings = Vec::with_capacity(digests.len());
        for (found, upstream) in found.into_iter().zip(upstream) {
            standings.push(match self.standing(cache, found).await? {
                Standing::Missing if upstream => Standing::Upstream,
                standing => standing,
            });
        }
        Ok(standings)
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
    #[test]
    fn memory_of_what_is_lacking_is_bounded() {
        let closures = Closures::default();
        for number in 0..=MOST_LACKING {
            let mut digest = [0; 20];
            digest[..8].copy_from_slice(&(number as u64).to_le_bytes());
            closures.put_lack(0, Digest(digest), Lack::TooLarge);
            assert_eq!(closures.lack(0, Digest(digest)), Some(Lack::TooLarge));
        }
        assert!(closures.lacking.lock().unwrap().len() <= MOST_LACKING);
        assert_eq!(closures.lack(1, Digest([0; 20])), None);
    }
}
