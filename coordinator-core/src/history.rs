//! What builds have taken so far, by package and system.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use grange_model::{HistoryRecord, Quantiles, Spread, Timestamp};

/// What is known of one package on one system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) updated_at: Timestamp,
    /// Milliseconds.
    pub(crate) duration: Spread,
    /// Bytes.
    pub(crate) memory: Spread,
}

/// What is known of all packages.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By package, then by system.
    entries: BTreeMap<String, BTreeMap<String, Known>>,
    count: usize,
    /// Durations of all that was built for a system.
    systems: BTreeMap<String, Pool>,
    all: Pool,
    /// What has changed since it was written: package, system.
    unwritten: BTreeSet<(String, String)>,
    /// By how much the logarithm of what builds took was off from what was expected of them, at the mean; the latest count
    /// most.
    surprise: Option<f64>,
    /// A timer, or work that was put off, will write it.
    pub(crate) writing: bool,
}

/// An entry, and whether it has changed since it was written.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    entry: Entry,
    unwritten: bool,
}

impl History {
    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn get(&self, package: &str, system: &str) -> Option<&Entry> {
        let known = self.entries.get(package)?.get(system)?;
        Some(&known.entry)
    }

    /// What is known of a package on any system, together.
    pub(crate) fn anywhere(&self, package: &str, of: impl Fn(&Entry) -> &Spread) -> Pool {
        let mut pool = Pool::default();
        for entry in self
            .entries
            .get(package)
            .into_iter()
            .flat_map(BTreeMap::values)
        {
            pool.add(of(&entry.entry));
        }
        pool
    }

    /// A build took so many milliseconds.
    pub(crate) fn compare(&mut self, expected: u32, took: u64) {
        let off = (took.max(1) as f64 / f64::from(expected.max(1))).ln().abs();
        let before = self.surprise.unwrap_or(off);
        self.surprise = Some(before + (off - before) / 64.0);
    }

    /// By how much the logarithm of what builds took was off from what was expected of them, if any has ended.
    pub(crate) fn surprise(&self) -> Option<f64> {
        self.surprise
    }

    /// Durations of all that was built for a system.
    pub(crate) fn on(&self, system: &str) -> Pool {
        self.systems.get(system).copied().unwrap_or_default()
    }

    /// Durations of all that was built.
    pub(crate) fn all(&self) -> Pool {
        self.all
    }

    /// Replaces what is known of a package on a system.
    pub(crate) fn put(&mut self, package: &str, system: &str, entry: Entry) {
        self.change(package, system, true, |known| known.entry = entry);
    }

    /// Changes what is known of a package on a system; that is to be written. Where nothing is known, it is only if there may
    /// be a `new` entry.
    pub(crate) fn learn(
        &mut self,
        package: &str,
        system: &str,
        new: bool,
        change: impl FnOnce(&mut Entry),
    ) {
        let written = self.change(package, system, new, |known| {
            change(&mut known.entry);
            !std::mem::replace(&mut known.unwritten, true)
        });
        if written == Some(true) {
            self.unwritten
                .insert((package.to_owned(), system.to_owned()));
        }
    }

    fn change<T>(
        &mut self,
        package: &str,
        system: &str,
        new: bool,
        change: impl FnOnce(&mut Known) -> T,
    ) -> Option<T> {
        let of = match self.entries.get_mut(package) {
            Some(of) => of,
            None if new => self.entries.entry(package.to_owned()).or_default(),
            None => return None,
        };
        let known = match of.get_mut(system) {
            Some(known) => known,
            None if new => {
                self.count += 1;
                of.entry(system.to_owned()).or_default()
            }
            None => return None,
        };
        let before = known.entry.duration;
        let done = change(known);
        let pools = match self.systems.get_mut(system) {
            Some(on) => [on, &mut self.all],
            None => {
                let on = self.systems.entry(system.to_owned()).or_default();
                [on, &mut self.all]
            }
        };
        for pool in pools {
            // Of a new entry that is nothing.
            pool.subtract(&before);
            pool.add(&known.entry.duration);
        }
        Some(done)
    }

    /// Takes one that is to be written.
    pub(crate) fn next_unwritten(&mut self) -> Option<HistoryRecord> {
        let (package, system) = self.unwritten.pop_first()?;
        let known = self.entries.get_mut(&package)?.get_mut(&system)?;
        known.unwritten = false;
        Some(known.entry.record(&package, &system))
    }

    /// Whether there is something to be written.
    pub(crate) fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// All of it behind `after` (package, system), in order.
    pub(crate) fn records<'a>(
        &'a self,
        after: Option<(&'a str, &'a str)>,
    ) -> impl Iterator<Item = HistoryRecord> + 'a {
        let from = after.map_or("", |(package, _)| package);
        let bounds = (Bound::Included(from), Bound::Unbounded);
        let entries = self.entries.range::<str, _>(bounds);
        let each = entries.flat_map(|(package, of)| {
            of.iter()
                .map(move |(system, known)| (package, system, known))
        });
        each.filter(move |(package, system, _)| {
            after.is_none_or(|after| (&***package, &***system) > after)
        })
        .map(|(package, system, known)| known.entry.record(package, system))
    }

    /// Whether what is kept by system agrees with the entries.
    pub(crate) fn is_counted(&self) -> bool {
        let mut again = Self::default();
        for (package, of) in &self.entries {
            for (system, known) in of {
                again.put(package, system, known.entry);
            }
        }
        let flagged = self.entries.iter().flat_map(|(package, of)| {
            let of = of.iter().filter(|(_, known)| known.unwritten);
            of.map(move |(system, _)| (package, system))
        });
        let listed = self.unwritten.iter();
        (again.count, again.systems, again.all) == (self.count, self.systems.clone(), self.all)
            && flagged.eq(listed.map(|(package, system)| (package, system)))
            && self.writing != self.unwritten.is_empty()
    }
}

impl Entry {
    pub(crate) fn record(&self, package: &str, system: &str) -> HistoryRecord {
        HistoryRecord {
            package: package.to_owned(),
            system: system.to_owned(),
            updated_at: self.updated_at,
            duration: self.duration,
            memory: self.memory,
        }
    }

    pub(crate) fn of(record: &HistoryRecord) -> Self {
        Self {
            updated_at: record.updated_at,
            duration: record.duration,
            memory: record.memory,
        }
    }
}

/// Several spreads as one: sums, so that one of them can be taken away again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pool {
    samples: u64,
    weight: u128,
    /// Of means.
    sum: u128,
    /// Of squares.
    squares: u128,
}

impl Pool {
    fn of(spread: &Spread) -> Self {
        let (weight, mean) = (u128::from(spread.weight()), u128::from(spread.mean));
        Self {
            samples: u64::from(spread.samples),
            weight,
            sum: weight * mean,
            squares: weight * (u128::from(spread.variance) + mean * mean),
        }
    }

    fn add(&mut self, spread: &Spread) {
        let more = Self::of(spread);
        self.samples += more.samples;
        self.weight += more.weight;
        self.sum += more.sum;
        self.squares += more.squares;
    }

    /// Takes away what was added before.
    fn subtract(&mut self, spread: &Spread) {
        let less = Self::of(spread);
        self.samples -= less.samples;
        self.weight -= less.weight;
        self.sum -= less.sum;
        self.squares -= less.squares;
    }

    pub(crate) fn samples(&self) -> u32 {
        u32::try_from(self.samples).unwrap_or(u32::MAX)
    }

    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        let (mean, variance) = self.moments()?;
        Some(Quantiles::normal(mean, variance))
    }

    /// The mean.
    pub(crate) fn expected(&self) -> Option<u64> {
        let (mean, variance) = self.moments()?;
        Some(Quantiles::mean(mean, variance))
    }

    /// Mean and variance of the logarithms.
    fn moments(&self) -> Option<(u32, u64)> {
        let mean = self.sum.checked_div(self.weight)?;
        // A mean that was rounded down has a smaller square.
        let variance = (self.squares / self.weight).saturating_sub(mean * mean);
        Some((
            u32::try_from(mean).unwrap_or(u32::MAX),
            u64::try_from(variance).unwrap_or(u64::MAX),
        ))
    }
}
