//! What a simulation came to.

use std::panic::{AssertUnwindSafe, catch_unwind};

use grange_model::{Batch, Change, Fact, Record};

use crate::farm::Farm;
use crate::scenario::Scenario;
use crate::violation::Violation;

/// How much happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Everything that happened anywhere.
    pub events: u64,
    /// Builds that ended; each counts once, however often it was reopened.
    pub builds: u64,
    /// Attempts that were given to agents.
    pub attempts: u64,
    /// Builders that agents ran.
    pub built: u64,
    /// Commits that became durable.
    pub commits: u64,
    /// Facts that became durable.
    pub facts: u64,
    /// How often the coordinator was started.
    pub starts: u64,
    /// What went wrong at a moment.
    pub faults: u64,
    /// Results that were not what their agents said.
    pub lies: u64,
    /// Attempts that agents were told to drop.
    pub dropped: u64,
}

impl Counts {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.builds += other.builds;
        self.attempts += other.attempts;
        self.built += other.built;
        self.commits += other.commits;
        self.facts += other.facts;
        self.starts += other.starts;
        self.faults += other.faults;
        self.lies += other.lies;
        self.dropped += other.dropped;
    }
}

/// What a simulation came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How much happened.
    pub counts: Counts,
    /// A digest of all that happened: the same scenario has the same.
    pub trace: u64,
    /// What did not hold, if anything.
    pub violation: Option<Violation>,
    /// A line for each thing that happened, if they were asked for.
    pub lines: Vec<String>,
}

impl Farm {
    pub(crate) fn count(&mut self, batch: &Batch) {
        self.counts.commits += 1;
        self.counts.facts += batch.facts.len() as u64;
        for fact in &batch.facts {
            self.counts.attempts += u64::from(matches!(fact, Fact::Started { .. }));
            if let Fact::Pruned { output } = fact
                && self.healed
            {
                self.late_prunes.insert(*output);
            }
        }
        for change in &batch.changes {
            if let Change::Put(Record::Finished(finished)) = change {
                let first = self.ended.insert(finished.build.spec.id);
                self.counts.builds += u64::from(first);
            }
        }
        for fact in &batch.facts {
            self.trace.say(self.now, || format!("durable: {fact:?}"));
        }
    }

    fn finish(&mut self) -> Result<(), Violation> {
        let asks_at = loop {
            if !self.step()? {
                return Err(self.late());
            }
            if self.healed {
                break self.ask_all_at();
            }
        };
        // Looking whether all is done takes longer than most steps.
        let mut looks = 0;
        loop {
            looks += 1;
            let asked = self.now > asks_at;
            if asked && looks % 16 == 0 && self.is_done(asked) {
                break;
            }
            if self.is_late() || !self.step()? {
                return Err(self.late());
            }
        }
        self.check_all()?;
        self.check_ends()
    }
}

/// Runs a scenario to its end, or until something does not hold. A panic is a violation like any other.
/// `lines`: keep a line for each thing that happens.
#[must_use]
pub fn run(scenario: &Scenario, lines: bool) -> Outcome {
    let mut farm = Farm::new(scenario.clone(), lines);
    let ended = catch_unwind(AssertUnwindSafe(|| farm.finish()));
    let ended = ended.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        let detail = words.unwrap_or("it says nothing").to_owned();
        Err(farm.violated("no-panic", detail))
    });
    Outcome {
        counts: farm.counts,
        trace: farm.trace.hash(),
        violation: ended.err(),
        lines: farm.trace.into_lines(),
    }
}
