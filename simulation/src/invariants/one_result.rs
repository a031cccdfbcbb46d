//! An attempt has one result, and only while it is one: what comes later is refused.
//!
//! Counter-example: agent A's lease runs out, B is given the build and wins, the place of A's attempt
//! is used for another build; A comes back and reports a failure under its old name. If that were
//! taken, the other build would fail for nothing.

use std::collections::BTreeSet;

use grange_coordinator_core::Reply;
use grange_model::{AttemptId, Change, Record};

use super::invariant::{Asked, Commit, Invariant, Look, hold};

#[derive(Debug, Default)]
pub(super) struct OneResult {
    known: BTreeSet<AttemptId>,
    reported: BTreeSet<AttemptId>,
}

impl Invariant for OneResult {
    fn name(&self) -> &'static str {
        "one-result"
    }

    fn after(&mut self, _look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        for change in &commit.batch.changes {
            if let Change::Put(Record::Attempt(attempt)) = change {
                self.known.insert(attempt.id);
            }
        }
        Ok(())
    }

    fn replied(&mut self, _look: Look<'_>, asked: &Asked, reply: &Reply) -> Result<(), String> {
        let (Asked::Report(attempt), Reply::Done) = (asked, reply) else {
            return Ok(());
        };
        hold(self.known.contains(attempt), || {
            format!("a report of {attempt}, which never was, was taken")
        })?;
        hold(self.reported.insert(*attempt), || {
            format!("two reports of {attempt} were taken")
        })
    }
}
