//! Commits, and what waits for them.
//!
//! Every effect is queued with a gate: the newest commit that holds anything already decided. Also
//! a refusal waits: two clients submit the same identifier, the first commit is under way, the
//! second client is told "exists already", the coordinator crashes before the commit is durable.
//! Without the gate the second client would rely on a build that never was.

use std::collections::VecDeque;
use std::sync::Arc;

use grange_model::{Batch, Change, Fact, FactNumber, Key, Record, Seq, Timestamp};

use crate::io::{Effect, LookupId, Reply, Ticket};

/// Changes that there is room for in an empty batch, at most.
const MAX_ROOM: usize = 1_024;

/// How much room empty batches get.
///
/// A long batch that grows is copied again and again. As long ones and short ones take turns, the last one says little: the longest
/// of late counts.
#[derive(Clone, Copy, Debug, Default)]
struct Room(usize);

impl Room {
    /// Room for the batch after one of this length.
    fn after(&mut self, length: usize) -> usize {
        self.0 = length.min(MAX_ROOM).max(self.0 - self.0.div_ceil(8));
        self.0
    }
}

/// What was decided and is not written yet.
#[derive(Debug)]
pub(crate) struct Ledger {
    committed: Seq,
    in_flight: Option<Seq>,
    next_fact: u64,
    batch: Batch,
    changes: Room,
    facts: Room,
    gated: VecDeque<(Seq, Effect)>,
    free: VecDeque<Effect>,
    holds: usize,
    #[cfg(grange_bugs)]
    refuses_early: bool,
}

#[cfg(grange_bugs)]
fn is_refusal(reply: &Reply) -> bool {
    match reply {
        Reply::Denied(_) => true,
        Reply::Submitted(results) => !results.is_empty() && results.iter().all(Result::is_err),
        _ => false,
    }
}

impl Ledger {
    pub(crate) fn new(committed: Seq, last_fact: FactNumber) -> Self {
        Self {
            committed,
            in_flight: None,
            next_fact: last_fact.0 + 1,
            batch: Batch::default(),
            changes: Room::default(),
            facts: Room::default(),
            gated: VecDeque::new(),
            free: VecDeque::new(),
            holds: 0,
            #[cfg(grange_bugs)]
            refuses_early: false,
        }
    }

    #[cfg(grange_bugs)]
    pub(crate) fn with_bug(mut self, bug: Option<crate::Bug>) -> Self {
        self.refuses_early = bug == Some(crate::Bug::EarlyRefusal);
        self
    }

    pub(crate) fn committed(&self) -> Seq {
        self.committed
    }

    /// The commit that holds whatever was decided so far.
    pub(crate) fn gate(&self) -> Seq {
        let last = self.in_flight.unwrap_or(self.committed);
        if self.batch.is_empty() {
            last
        } else {
            last.next()
        }
    }

    /// The commit that will hold what is decided now.
    pub(crate) fn upcoming(&self) -> Seq {
        self.in_flight.unwrap_or(self.committed).next()
    }

    pub(crate) fn put(&mut self, record: Record) {
        self.batch.changes.push(Change::Put(record));
    }

    pub(crate) fn remove(&mut self, key: Key) {
        self.batch.changes.push(Change::Remove(key));
    }

    pub(crate) fn fact(&mut self, fact: Fact) {
        self.batch.facts.push(fact);
    }

    pub(crate) fn reply(&mut self, ticket: Ticket, reply: Reply) {
        #[cfg(grange_bugs)]
        if self.refuses_early && is_refusal(&reply) {
            self.free.push_back(Effect::Reply { ticket, reply });
            return;
        }
        self.gated
            .push_back((self.gate(), Effect::Reply { ticket, reply }));
    }

    pub(crate) fn lookup(&mut self, lookup: LookupId, keys: Vec<Key>) {
        self.free.push_back(Effect::Lookup { lookup, keys });
    }

    /// Whatever is decided from now on until [`release`](Self::release) is written by one commit.
    pub(crate) fn hold(&mut self) {
        self.holds += 1;
    }

    pub(crate) fn release(&mut self) {
        self.holds -= 1;
    }

    pub(crate) fn acknowledge(&mut self, seq: Seq) {
        if self.in_flight == Some(seq) {
            self.in_flight = None;
            self.committed = seq;
        }
    }

    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<Effect> {
        if self.in_flight.is_none() && self.holds == 0 && !self.batch.is_empty() {
            let next = Batch {
                changes: Vec::with_capacity(self.changes.after(self.batch.changes.len())),
                facts: Vec::with_capacity(self.facts.after(self.batch.facts.len())),
                ..Batch::default()
            };
            let mut batch = std::mem::replace(&mut self.batch, next);
            batch.at = now;
            batch.first_fact = FactNumber(self.next_fact);
            self.next_fact += batch.facts.len() as u64;
            let seq = self.committed.next();
            self.in_flight = Some(seq);
            return Some(Effect::Commit {
                seq,
                batch: Arc::new(batch),
            });
        }
        if let Some(effect) = self.free.pop_front() {
            return Some(effect);
        }
        let (gate, _) = self.gated.front()?;
        if *gate > self.committed {
            return None;
        }
        self.gated.pop_front().map(|(_, effect)| effect)
    }
}
