//! A build that was accepted is there until it has ended, and its end is there for good.
//!
//! Counter-example: a build's row is used for another one in the same commit in which it ends, and the
//! removal is written after the new row. Somebody waits for ever for a build that nobody knows.

use std::collections::BTreeSet;

use grange_coordinator_core::{Core, Reply};
use grange_model::{BuildId, Change, Key, Record};

use super::invariant::{Asked, Commit, Invariant, Look, hold};

#[derive(Debug, Default)]
pub(super) struct NothingLost {
    accepted: BTreeSet<BuildId>,
    /// Builds whose rows or ends the commit removes or writes anew.
    touched: Vec<BuildId>,
}

impl Invariant for NothingLost {
    fn name(&self) -> &'static str {
        "nothing-lost"
    }

    fn before(&mut self, look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        for change in &commit.batch.changes {
            let key = match change {
                Change::Put(record @ Record::Build(_)) => record.key(),
                Change::Remove(key @ Key::Build(_)) => key.clone(),
                // It goes on: it was reopened.
                Change::Remove(Key::Finished(build)) => {
                    self.touched.push(*build);
                    continue;
                }
                _ => continue,
            };
            if let Some(Record::Build(build)) = look.store.get(&key) {
                self.touched.push(build.spec.id);
            }
        }
        Ok(())
    }

    fn after(&mut self, look: Look<'_>, _commit: Commit<'_>) -> Result<(), String> {
        self.touched
            .drain(..)
            .try_for_each(|build| hold(look.store.is_known(build), || format!("{build} is gone")))
    }

    fn replied(&mut self, _look: Look<'_>, asked: &Asked, reply: &Reply) -> Result<(), String> {
        if let (Asked::Submit(specs), Reply::Submitted(results)) = (asked, reply) {
            let accepted = specs
                .iter()
                .zip(results)
                .filter(|(_, result)| result.is_ok());
            self.accepted.extend(accepted.map(|(spec, _)| spec.id));
        }
        Ok(())
    }

    fn full(&mut self, look: Look<'_>, _core: &Core, _settled: bool) -> Result<(), String> {
        self.accepted
            .iter()
            .try_for_each(|build| hold(look.store.is_known(*build), || format!("{build} is gone")))
    }
}
