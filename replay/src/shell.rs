//! What stands around a core, as plain as possible.

use std::collections::HashMap;
use std::time::Duration;

use grange_coordinator_core::{Config, Core, Effect, Input, Reply, Start, Ticket, TimerReason};
use grange_model::{Batch, Change, Digest, ItemRecord, Key, Record, Term, Timestamp};

use crate::copies::Copies;

/// A core whose commits are durable at once, and whose questions are answered at once: derivations are those of some
/// [`Copies`], items are remembered, and nothing else is.
#[derive(Debug)]
pub struct Shell {
    core: Core,
    copies: Copies,
    now: Timestamp,
    clock: fn() -> Duration,
    items: HashMap<Digest, ItemRecord>,
    replies: Vec<(Ticket, Reply)>,
    tickets: u64,
    spent: Spent,
}

/// What the core took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How often it was called.
    pub calls: u64,
    /// In all calls together.
    pub sum: Duration,
    /// In the longest.
    pub longest: Duration,
    /// How often it committed.
    pub commits: u64,
    /// Changes and facts in all commits.
    pub changes: u64,
}

impl Shell {
    /// A core to which nothing has happened. `clock` says how much time has passed since some moment; what calls take is
    /// measured by it.
    #[must_use]
    pub fn new(copies: Copies, config: Config, clock: fn() -> Duration) -> Self {
        let start = Start {
            term: Term(1),
            ..Start::default()
        };
        Self {
            core: Core::new(config, start),
            copies,
            now: Timestamp(1_000_000),
            clock,
            items: HashMap::new(),
            replies: Vec::new(),
            tickets: 0,
            spent: Spent::default(),
        }
    }

    /// The core as it stands.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// What is built.
    #[must_use]
    pub fn copies(&self) -> &Copies {
        &self.copies
    }

    /// What the core took since this was asked for the last time.
    pub fn spent(&mut self) -> Spent {
        std::mem::take(&mut self.spent)
    }

    /// A name for a request.
    pub fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Hands something in; what comes of it waits for [`settle`](Self::settle).
    pub fn hand_in(&mut self, input: Input) {
        let now = self.now;
        self.timed(|core| core.handle(now, input));
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// When the next of the core's timers is due.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.core.poll_timeout().map(|(at, _)| at)
    }

    /// Time passes; no timer that is due on the way is left out. What the core answers meanwhile waits for
    /// [`settle`](Self::settle).
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        while let Some((at, _)) = self.core.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            let now = self.now;
            self.timed(|core| core.handle_timeout(now));
            self.perform_all();
        }
        self.now = end;
    }

    /// Does what the core asks for, until it asks for no more. Returns what it answered.
    pub fn settle(&mut self) -> Vec<(Ticket, Reply)> {
        self.perform_all();
        std::mem::take(&mut self.replies)
    }

    fn perform_all(&mut self) {
        loop {
            if let Some(effect) = self.timed(Core::poll_effect) {
                self.perform(effect);
            } else if matches!(self.core.poll_timeout(), Some((_, TimerReason::Work))) {
                let now = self.now;
                self.timed(|core| core.handle_timeout(now));
            } else {
                return;
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Commit { seq, batch } => {
                self.keep(&batch);
                self.spent.commits += 1;
                self.spent.changes += (batch.changes.len() + batch.facts.len()) as u64;
                self.hand_in(Input::Committed { seq });
            }
            Effect::Lookup { lookup, keys } => {
                let records = keys.iter().map(|key| self.look_up(key)).collect();
                self.hand_in(Input::Found { lookup, records });
            }
            Effect::Reply { ticket, reply } => self.replies.push((ticket, reply)),
        }
    }

    fn keep(&mut self, batch: &Batch) {
        for change in &batch.changes {
            match change {
                Change::Put(Record::Item(item)) => {
                    self.items.insert(item.item.digest, item.clone());
                }
                Change::Remove(Key::Item(digest)) => {
                    self.items.remove(digest);
                }
                _ => {}
            }
        }
    }

    fn look_up(&self, key: &Key) -> Option<Record> {
        match key {
            Key::Derivation(digest) => {
                let (copy, node) = self.copies.locate(*digest)?;
                Some(Record::Derivation(self.copies.record(copy, node)))
            }
            Key::Item(digest) => self.items.get(digest).cloned().map(Record::Item),
            _ => None,
        }
    }

    /// The outputs of a derivation, as an agent would have made them.
    #[must_use]
    pub fn built(&self, derivation: Digest) -> Vec<ItemRecord> {
        let found = self.copies.locate(derivation);
        found.map_or_else(Vec::new, |(copy, node)| self.copies.built(copy, node))
    }

    /// All that the core does is done in here. Its name stands in `xtask/src/growth.rs`, where its instructions are counted.
    #[inline(never)]
    fn timed<T>(&mut self, call: impl FnOnce(&mut Core) -> T) -> T {
        let before = (self.clock)();
        let result = call(&mut self.core);
        let took = (self.clock)().saturating_sub(before);
        self.spent.calls += 1;
        self.spent.sum += took;
        self.spent.longest = self.spent.longest.max(took);
        result
    }
}
