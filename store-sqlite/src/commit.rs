//! One batch as one transaction.

use grange_fail_points::{Point, reach};
use grange_interfaces::{Claimed, StoreError};
use grange_model::{Batch, BuildState, Change, FactNumber, Key, Record, Seq, Term, encode};
use rusqlite::{Connection, Row};

use crate::error::{at, codec};
use crate::statements::Statements;

/// What writes. It borrows the connection because its statements do.
pub(crate) struct Commits<'c> {
    connection: &'c Connection,
    pub(crate) statements: Statements<'c>,
    /// How many more finished builds there are in each state (as in [`BuildState::ALL`]) than
    /// before the transaction.
    pub(crate) counts: [i64; BuildState::ALL.len()],
}

/// The row that every writer goes through.
struct Position {
    term: Term,
    seq: Seq,
    commit_term: Term,
    fact: FactNumber,
}

impl<'c> Commits<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Result<Self, StoreError> {
        let statements =
            Statements::prepare(connection).map_err(at("the schema is not what it says"))?;
        Ok(Self {
            connection,
            statements,
            counts: [0; _],
        })
    }

    /// Makes the next term the newest.
    pub(crate) fn claim(&mut self) -> Result<Claimed, StoreError> {
        self.transaction(|this| {
            let position = this.position()?;
            let term = Term(position.term.0 + 1);
            this.statements
                .claim
                .execute([column(term.0)])
                .map_err(at("cannot claim"))?;
            Ok(Claimed {
                term,
                seq: position.seq,
                fact: position.fact,
            })
        })
    }

    /// Writes all of the batch, or nothing if it is there already.
    pub(crate) fn commit(&mut self, term: Term, seq: Seq, batch: &Batch) -> Result<(), StoreError> {
        self.transaction(|this| {
            let position = this.position()?;
            if term < position.term {
                return Err(StoreError::Fenced {
                    mine: term,
                    holder: position.term,
                });
            }
            if term > position.term {
                return Err(StoreError::Corrupt(format!(
                    "term {} was never claimed here, the newest is {}",
                    term.0, position.term.0
                )));
            }
            if seq == position.seq && term == position.commit_term {
                return Ok(());
            }
            if position.seq.0.checked_add(1) != Some(seq.0) {
                return Err(StoreError::Corrupt(format!(
                    "commit {} does not follow commit {}",
                    seq.0, position.seq.0
                )));
            }
            let last = this.journal(position.fact, batch)?;
            for change in &batch.changes {
                match change {
                    Change::Put(record) => this.put(record)?,
                    Change::Remove(key) => this.remove(key)?,
                }
            }
            this.write_counts()?;
            this.statements
                .advance
                .execute([column(seq.0), column(term.0), column(last.0)])
                .map_err(at("cannot write the position"))?;
            Ok(())
        })
    }

    fn journal(&mut self, last: FactNumber, batch: &Batch) -> Result<FactNumber, StoreError> {
        if batch.facts.is_empty() {
            return Ok(last);
        }
        if last.0.checked_add(1) != Some(batch.first_fact.0) {
            return Err(StoreError::Corrupt(format!(
                "fact {} does not follow fact {}",
                batch.first_fact.0, last.0
            )));
        }
        let facts = encode(&batch.facts).map_err(|error| codec("cannot encode facts", &error))?;
        self.statements
            .put_facts
            .execute((column(batch.first_fact.0), column(batch.at.0), facts))
            .map_err(at("cannot write facts"))?;
        Ok(FactNumber(last.0 + batch.facts.len() as u64))
    }

    fn put(&mut self, record: &Record) -> Result<(), StoreError> {
        let bytes = |record: &Record| {
            encode(record).map_err(|error| codec("cannot encode a record", &error))
        };
        let statements = &mut self.statements;
        let written = match record {
            Record::Agent(agent) => statements
                .put_agent
                .execute((agent.id.0.as_bytes(), bytes(record)?)),
            Record::Hook(hook) => statements.put_hook.execute((&hook.name, bytes(record)?)),
            Record::History(history) => {
                statements
                    .put_history
                    .execute((&history.package, &history.system, bytes(record)?))
            }
            Record::Attempt(attempt) => statements
                .put_attempt
                .execute((attempt.id.slot, bytes(record)?)),
            Record::Build(build) => {
                let derivation = build.spec.derivation.0;
                statements
                    .put_build
                    .execute((build.slot, derivation, bytes(record)?))
            }
            Record::Derivation(derivation) => statements
                .put_derivation
                .execute((derivation.item.digest.0, bytes(record)?)),
            Record::DerivationText { derivation, text } => {
                statements.put_text.execute((derivation.0, text))
            }
            Record::Item(item) => statements
                .put_item
                .execute((item.item.digest.0, bytes(record)?)),
            Record::Upstream(item) => statements
                .put_upstream
                .execute((item.item.digest.0, bytes(record)?)),
            Record::Failure(failure) => statements
                .put_failure
                .execute((failure.derivation.digest.0, bytes(record)?)),
            Record::Finished(finished) => return self.put_finished(finished, &bytes(record)?),
            unknown => return Err(unsupported(&unknown.key())),
        };
        written.map(drop).map_err(at("cannot write a record"))
    }

    fn remove(&mut self, key: &Key) -> Result<(), StoreError> {
        let statements = &mut self.statements;
        let removed = match key {
            Key::Agent(id) => statements.remove_agent.execute([id.0.as_bytes()]),
            Key::Hook(name) => statements.remove_hook.execute([name]),
            Key::History { package, system } => {
                statements.remove_history.execute([package, system])
            }
            Key::Attempt(slot) => statements.remove_attempt.execute([slot]),
            Key::Build(slot) => statements.remove_build.execute([slot]),
            Key::Derivation(digest) => statements.remove_derivation.execute([digest.0]),
            Key::DerivationText(digest) => statements.remove_text.execute([digest.0]),
            Key::Item(digest) => statements.remove_item.execute([digest.0]),
            Key::Upstream(digest) => statements.remove_upstream.execute([digest.0]),
            Key::Failure(digest) => statements.remove_failure.execute([digest.0]),
            Key::Finished(id) => return self.remove_finished(*id),
            unknown => return Err(unsupported(unknown)),
        };
        removed.map(drop).map_err(at("cannot remove a record"))
    }

    fn write_counts(&mut self) -> Result<(), StoreError> {
        for (state, count) in BuildState::ALL.iter().zip(self.counts) {
            if count != 0 {
                self.statements
                    .add_count
                    .execute((state.as_str(), count))
                    .map_err(at("cannot count finished builds"))?;
            }
        }
        Ok(())
    }

    fn position(&mut self) -> Result<Position, StoreError> {
        let read = |row: &Row<'_>| {
            Ok(Position {
                term: Term(number(row.get(0)?)),
                seq: Seq(number(row.get(1)?)),
                commit_term: Term(number(row.get(2)?)),
                fact: FactNumber(number(row.get(3)?)),
            })
        };
        self.statements
            .position
            .query_row([], read)
            .map_err(at("cannot read the position"))
    }

    /// Begins, does `work`, and commits if it went well; else nothing was written.
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.counts = [0; _];
        self.roll_back()?;
        self.statements
            .begin
            .execute([])
            .map_err(at("cannot begin to write"))?;
        let done = work(self).and_then(|value| {
            reach(Point::BatchWritten);
            self.statements
                .commit
                .execute([])
                .map_err(at("cannot commit"))?;
            reach(Point::BatchCommitted);
            Ok(value)
        });
        if done.is_err() {
            self.roll_back()?;
        }
        done
    }

    /// Takes back what was not committed; some errors have done so by themselves:
    /// <https://www.sqlite.org/lang_transaction.html>.
    fn roll_back(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection
            .execute_batch("ROLLBACK")
            .map_err(at("cannot take back what was not committed"))
    }
}

/// The column for an unsigned number: the same 64 bits.
pub(crate) fn column(number: u64) -> i64 {
    number.cast_signed()
}

/// The unsigned number in a column.
pub(crate) fn number(column: i64) -> u64 {
    column.cast_unsigned()
}

/// A record of a newer model than this crate was written for.
pub(crate) fn unsupported(key: &Key) -> StoreError {
    StoreError::Corrupt(format!("this datastore has no table for {key:?}"))
}
