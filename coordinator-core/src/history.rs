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
    entries: BTreeMap<String, BTreeMap<String, Entry>>,
    count: usize,
    /// Durations of all that was built for a system.
    systems: BTreeMap<String, Pool>,
    all: Pool,
    /// What has changed since it was written: package, system.
    pub(crate) unwritten: BTreeSet<(String, String)>,
    /// A timer, or work that was put off, will write it.
    pub(crate) writing: bool,
}

impl History {
    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn get(&self, package: &str, system: &str) -> Option<&Entry> {
        self.entries.get(package)?.get(system)
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
            pool.add(of(entry));
        }
        pool
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
        if !self.entries.contains_key(package) {
            self.entries.insert(package.to_owned(), BTreeMap::new());
        }
        let Some(of) = self.entries.get_mut(package) else {
            return;
        };
        let before = of.insert(system.to_owned(), entry);
        let on = self.systems.entry(system.to_owned()).or_default();
        if let Some(before) = before {
            on.subtract(&before.duration);
            self.all.subtract(&before.duration);
        } else {
            self.count += 1;
        }
        on.add(&entry.duration);
        self.all.add(&entry.duration);
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
                .map(move |(system, entry)| (package, system, entry))
        });
        each.filter(move |(package, system, _)| {
            after.is_none_or(|after| (&***package, &***system) > after)
        })
        .map(|(package, system, entry)| entry.record(package, system))
    }

    /// Whether what is kept by system agrees with the entries.
    pub(crate) fn is_counted(&self) -> bool {
        let mut again = Self::default();
        for (package, of) in &self.entries {
            for (system, entry) in of {
                again.put(package, system, *entry);
            }
        }
        let known = |(package, system): &(String, String)| self.get(package, system).is_some();
        (again.count, again.systems, again.all) == (self.count, self.systems.clone(), self.all)
            && self.unwritten.iter().all(known)
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
        let mean = self.sum.checked_div(self.weight)?;
        // A mean that was rounded down has a smaller square.
        let variance = (self.squares / self.weight).saturating_sub(mean * mean);
        Some(Quantiles::normal(
            u32::try_from(mean).unwrap_or(u32::MAX),
            u64::try_from(variance).unwrap_or(u64::MAX),
        ))
    }
}
