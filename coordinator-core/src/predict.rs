//! What a build will take, to go by what others took.
//!
//! Builds of the same package on the same system say most; where there were none, those of the package on any system do, then
//! all builds on the system, then all builds, then constants. Of each package and system are kept mean and variance of the
//! logarithm of durations and of peak memory, of which the newest builds count most: see [`grange_model::Spread`].
//!
//! A build that was killed as memory ran out needs more than it had: that much is learned from it.
//!
//! What was learned is written a minute later at the most, many packages in one commit. A crash loses that minute: nothing
//! that anybody was told relies on it.

use std::time::Duration;

use grange_model::{AttemptSummary, HistoryRecord, MEMORY, Quantiles, Record, Resources, Usage};

use crate::demand::{Demand, rounded};
use crate::history::{Entry, Pool};
use crate::io::{Denied, DeniedWhy, Reply, Ticket, TimerReason};
use crate::machine::Core;
use crate::package::package;
use crate::slab::Ix;
use crate::tables::{Attempt, Task};
use crate::work::Work;

/// What a build will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// Milliseconds that the builder will run, on an agent of speed 1.
    pub duration: Quantiles,
    /// Bytes of memory that it will have at most. Known only of packages that were built three times: a guess would keep apart
    /// what could run together.
    pub memory: Option<Quantiles>,
    /// How many builds the duration goes by.
    pub samples: u32,
    /// Which.
    pub source: Source,
}

/// What the prediction of a duration goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Builds of the same package for the same system.
    Package,
    /// Builds of the same package for other systems.
    OtherSystems,
    /// All builds for the same system.
    System,
    /// All builds.
    All,
    /// Nothing was built yet: what the configuration says.
    Config,
}

/// Of fewer builds no memory is predicted.
const ENOUGH: u32 = 3;
/// Less memory is not worth telling builds apart, in bytes.
const LEAST: u64 = 1 << 26;
/// How long what was learned waits for more.
const WAIT: Duration = Duration::from_mins(1);
/// How many entries are written at once.
const MAX_WRITTEN: usize = 500;
/// What one of them counts for in a slice of work.
const WRITE_EDGES: usize = 4;

impl Core {
    /// What a build of a derivation of this name (with or without `.drv`) for this system will take.
    #[must_use]
    pub fn predict(&self, name: &str, system: &str) -> Prediction {
        let package = &*package(name);
        let (duration, samples, source) = self.predict_duration(package, system);
        Prediction {
            duration,
            memory: self.predict_memory(package, system),
            samples,
            source,
        }
    }

    pub(crate) fn predict_duration(&self, package: &str, system: &str) -> (Quantiles, u32, Source) {
        let history = &self.history;
        if let Some(entry) = history.get(package, system)
            && let Some(quantiles) = entry.duration.quantiles()
        {
            return (quantiles, entry.duration.samples, Source::Package);
        }
        let found = |pool: Pool, source| Some((pool.quantiles()?, pool.samples(), source));
        let anywhere = history.anywhere(package, |entry| &entry.duration);
        found(anywhere, Source::OtherSystems)
            .or_else(|| found(history.on(system), Source::System))
            .or_else(|| found(history.all(), Source::All))
            .unwrap_or_else(|| self.cold())
    }

    pub(crate) fn cold(&self) -> (Quantiles, u32, Source) {
        let milliseconds = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        let p50 = milliseconds(self.config.cold_duration);
        let p90 = p50.max(milliseconds(self.config.cold_duration_p90));
        (Quantiles { p50, p90 }, 0, Source::Config)
    }

    /// Milliseconds that a build of a derivation of this name for this system is expected to take: the mean, 49 days at most.
    pub(crate) fn expected_ms(&self, name: &str, system: &str) -> u32 {
        let package = &*package(name);
        let entry = self.history.get(package, system);
        let expected = entry
            .and_then(|entry| entry.duration.expected())
            .or_else(|| {
                let anywhere = self.history.anywhere(package, |entry| &entry.duration);
                let pools = [anywhere, self.history.on(system), self.history.all()];
                pools.iter().find_map(Pool::expected)
            });
        let expected = expected.unwrap_or_else(|| {
            let (Quantiles { p50, p90 }, ..) = self.cold();
            // Of what is skewed to the right as these are.
            p50.midpoint(p90)
        });
        u32::try_from(expected).unwrap_or(u32::MAX)
    }

    fn predict_memory(&self, package: &str, system: &str) -> Option<Quantiles> {
        if let Some(entry) = self.history.get(package, system)
            && entry.memory.samples >= ENOUGH
        {
            return entry.memory.quantiles();
        }
        let anywhere = self.history.anywhere(package, |entry| &entry.memory);
        anywhere
            .quantiles()
            .filter(|_| anywhere.samples() >= ENOUGH)
    }

    /// Adds to what was asked for what is predicted beside it.
    ///
    /// Half of all classes are left to what is asked for: predictions must not lead to refusals.
    pub(crate) fn with_prediction(&self, demand: Demand, name: &str, system: &str) -> Demand {
        let room = self.classes.table.len() < self.config.max_classes / 2;
        if !room || self.history.len() == 0 || demand.asked.contains_key(MEMORY) {
            return demand;
        }
        let memory = self.predict_memory(&package(name), system);
        let memory = memory.map(|memory| (MEMORY.to_owned(), rounded(memory.p90.max(LEAST))));
        Demand {
            predicted: memory.into_iter().collect::<Resources>(),
            ..demand
        }
    }

    /// An attempt has succeeded.
    pub(crate) fn learn(&mut self, attempt: Ix<Attempt>, summary: &AttemptSummary) {
        let Attempt { task, speed, .. } = self.attempts[attempt];
        let Usage {
            build_ms,
            peak_memory,
        } = summary.usage;
        let elapsed = summary.ended_at.since(summary.assigned_at);
        let elapsed = || u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let duration = build_ms.unwrap_or_else(elapsed);
        let duration = u128::from(duration) * u128::from(speed) / 1_000;
        let duration = u64::try_from(duration).unwrap_or(u64::MAX);
        self.learn_both(task, Some(duration), peak_memory);
    }

    /// An attempt was killed as memory ran out.
    pub(crate) fn learn_killed(&mut self, attempt: Ix<Attempt>, usage: Usage) {
        let attempt = &self.attempts[attempt];
        let had = attempt.needs.get(MEMORY).copied();
        self.learn_both(attempt.task, None, usage.peak_memory.max(had));
    }

    fn learn_both(&mut self, task: Ix<Task>, duration: Option<u64>, memory: Option<u64>) {
        let derivation = &self.derivations[self.tasks[task].derivation];
        let name = package(&derivation.item.name);
        let (now, new) = (self.now, self.history.len() < self.config.max_packages);
        let system = &derivation.kind.system;
        if let Some(duration) = duration {
            self.history.compare(derivation.expected_ms, duration);
        }
        self.history.learn(&name, system, new, |entry| {
            entry.updated_at = now;
            if let Some(duration) = duration {
                entry.duration.add(duration);
            }
            if let Some(memory) = memory {
                entry.memory.add(memory);
            }
        });
        self.expectations_changed();
        if !self.history.has_unwritten() {
            return;
        }
        if !self.history.writing {
            self.history.writing = true;
            let at = self.now.after(WAIT);
            self.timers.insert((at, TimerReason::History, 0));
        }
    }

    /// Writes some of what was learned, and puts the rest off.
    pub(crate) fn write_history(&mut self) {
        for _ in 0..MAX_WRITTEN {
            let Some(record) = self.history.next_unwritten() else {
                break;
            };
            self.edges += WRITE_EDGES;
            self.ledger.put(Record::History(record));
        }
        self.history.writing = self.history.has_unwritten();
        if self.history.writing {
            self.work.push_back(Work::History);
        }
    }

    /// What builds have taken so far, behind `after` (package, system), in their order.
    pub fn history<'a>(
        &'a self,
        after: Option<(&'a str, &'a str)>,
    ) -> impl Iterator<Item = HistoryRecord> + 'a {
        self.history.records(after)
    }

    /// What was learned elsewhere takes the place of what is known of the same packages and systems.
    pub(crate) fn import_history(&mut self, ticket: Ticket, records: Vec<HistoryRecord>) {
        let new = |it: &&HistoryRecord| self.history.get(&it.package, &it.system).is_none();
        let new = records.iter().filter(new).count();
        if self.history.len().saturating_add(new) > self.config.max_packages {
            let message = format!(
                "the history has {} entries, and there may be {}",
                self.history.len(),
                self.config.max_packages
            );
            let why = DeniedWhy::TooMuch;
            self.ledger
                .reply(ticket, Reply::Denied(Denied { why, message }));
            return;
        }
        for record in records {
            let HistoryRecord {
                package, system, ..
            } = &record;
            self.history.put(package, system, Entry::of(&record));
            self.ledger.put(Record::History(record));
        }
        self.expectations_changed();
        self.ledger.reply(ticket, Reply::Done);
    }
}
