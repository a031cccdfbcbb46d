//! Commits follow each other without gaps, and so do facts; nobody writes who was fenced; what is
//! written is read as it was written.
//!
//! Counter-example: a coordinator is paused for a minute, another one takes over and gives its builds
//! to others; the first one wakes up and writes what it had decided a minute ago.

use std::collections::BTreeSet;

use grange_model::{AttemptId, Change, FactNumber, Key, Record, Seq, Term, decode, encode};

use super::invariant::{Commit, Invariant, Look, hold};

#[derive(Debug, Default)]
pub(super) struct Order {
    term: Term,
    seq: Seq,
    /// Every attempt that ever was: no two have one name.
    attempts: BTreeSet<AttemptId>,
}

impl Invariant for Order {
    fn name(&self) -> &'static str {
        "order"
    }

    fn before(&mut self, look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        let Commit { term, seq, batch } = commit;
        hold(term >= self.term, || {
            format!("{term:?} writes after {:?}", self.term)
        })?;
        hold(seq == self.seq.next(), || {
            format!("{seq:?} follows {:?}", self.seq)
        })?;
        (self.term, self.seq) = (term, seq);
        hold(!batch.is_empty(), || "an empty commit".to_owned())?;
        let next = FactNumber(look.store.last_fact().0 + 1);
        hold(batch.first_fact == next, || {
            format!("facts begin with {:?}, not with {next:?}", batch.first_fact)
        })?;
        for change in &batch.changes {
            match change {
                Change::Put(record) => self.put(look, record)?,
                Change::Remove(key) => {
                    // Whether somebody failed before, or something is there, need not be known.
                    let any = matches!(key, Key::Failure(_) | Key::Item(_) | Key::Upstream(_));
                    let mut earlier = batch.changes.iter();
                    let there = any
                        || look.store.get(key).is_some()
                        || earlier
                            .any(|other| matches!(other, Change::Put(it) if it.key() == *key));
                    hold(there, || format!("{key:?} is removed and was not there"))?;
                }
            }
        }
        Ok(())
    }
}

impl Order {
    fn put(&mut self, look: Look<'_>, record: &Record) -> Result<(), String> {
        if let Record::Attempt(attempt) = record {
            hold(self.attempts.insert(attempt.id), || {
                format!("{} is written twice", attempt.id)
            })?;
        }
        // A record in sixteen is written and read as a Datastore does it.
        if self.seq.0.is_multiple_of(16) {
            let bytes = encode(record).map_err(|error| error.to_string())?;
            let read: Record = decode(&bytes).map_err(|error| error.to_string())?;
            hold(read == *record, || {
                format!("{record:?} is read as {read:?}")
            })?;
        }
        if let (Record::Build(new), Some(Record::Build(old))) =
            (record, look.store.get(&record.key()))
        {
            let same = new.spec.id == old.spec.id || look.store.is_unfinished(old.spec.id);
            hold(same, || {
                format!("{} is in the row of {}", new.spec.id, old.spec.id)
            })?;
        }
        Ok(())
    }
}
