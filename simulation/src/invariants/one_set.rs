//! The outputs of a derivation that are available come from one attempt, as one set.
//!
//! Counter-example: two attempts of a build that is not reproducible race. `out` of the first refers to
//! a file of its own `lib` that the second one's `lib` does not have; if `lib` were taken from the
//! second, nothing that uses both would ever work.

use std::collections::BTreeMap;

use grange_model::{AttemptId, AttemptOutcome, Change, Digest, Fact, Key, Record};

use super::invariant::{Commit, Invariant, Look, hold};

#[derive(Debug, Default)]
pub(super) struct OneSet {
    /// Which attempt made what is available. What came by another way is not here.
    makers: BTreeMap<Digest, AttemptId>,
}

impl Invariant for OneSet {
    fn name(&self) -> &'static str {
        "one-set"
    }

    fn before(&mut self, look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        for change in &commit.batch.changes {
            if let Change::Put(Record::Item(item)) = change
                && let Some(Record::Item(old)) = look.store.get(&Key::Item(item.item.digest))
            {
                let goes = commit.batch.facts.contains(&Fact::Pruned {
                    output: item.item.digest,
                });
                // What is known by its content may come again, and is the same.
                hold(goes || old.nar_hash == item.nar_hash, || {
                    format!("{} is replaced by another", item.item.name)
                })?;
            }
        }
        Ok(())
    }

    fn after(&mut self, look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        for change in &commit.batch.changes {
            match change {
                Change::Remove(Key::Item(output)) => {
                    self.makers.remove(output);
                }
                Change::Put(Record::Item(item)) => {
                    self.makers.remove(&item.item.digest);
                }
                _ => {}
            }
        }
        for change in &commit.batch.changes {
            let Change::Put(Record::Finished(finished)) = change else {
                continue;
            };
            let won = |outcome: &AttemptOutcome| matches!(outcome, AttemptOutcome::Succeeded);
            let Some(winner) = finished.attempts.iter().find(|it| won(&it.outcome)) else {
                continue;
            };
            for output in finished.outputs.iter().filter(|output| output.canonical) {
                self.makers.insert(output.item.digest, winner.id);
            }
            let derivation = finished.build.spec.derivation;
            let Some(record) = look.store.derivation(derivation) else {
                continue;
            };
            // What another derivation makes as well may have come from there.
            let own = record.outputs.iter().map(|output| output.item.digest);
            let mut makers = own.filter_map(|output| self.makers.get(&output));
            let first = makers.next();
            if record.outputs.len() > 1 {
                hold(makers.all(|maker| Some(maker) == first), || {
                    format!("the outputs of {} are of two attempts", record.item.name)
                })?;
            }
        }
        Ok(())
    }
}
