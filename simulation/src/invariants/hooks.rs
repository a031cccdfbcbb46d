//! A hook hears of every fact, and what it asks for is done exactly once.
//!
//! Counter-example: a hook asks for a build because of fact 7, and its cursor is written before the
//! build is. The coordinator crashes in between; it goes on with fact 8, and the build never is.

use grange_model::{
    BuildId, BuildState, Change, Fact, FactNumber, HookRecord, Key, NumberedFact, Record,
};

use super::invariant::{Commit, Invariant, Look, hold};
use crate::scenario::build_id;

/// The build that the simulated hook asks for because of a fact: for every third build of a client that
/// succeeds, one of a derivation that the fact's number chooses.
pub(crate) fn follow_up(fact: &NumberedFact) -> Option<BuildId> {
    let Fact::Ended { build, state, .. } = &fact.fact else {
        return None;
    };
    let minted = build.0.as_u128();
    let by_client = minted >> 64 == 1;
    (by_client && *state == BuildState::Succeeded && minted % 3 == 0)
        .then(|| build_id(2, fact.number.0))
}

#[derive(Debug)]
pub(super) struct Hooks;

fn cursor(record: &Record) -> FactNumber {
    match record {
        Record::Hook(HookRecord { cursor, .. }) => *cursor,
        _ => FactNumber(0),
    }
}

impl Invariant for Hooks {
    fn name(&self) -> &'static str {
        "hooks"
    }

    fn before(&mut self, look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        for change in &commit.batch.changes {
            if let Change::Put(record @ Record::Hook(_)) = change {
                // A hook that is new hears of what happens from now on.
                let Some(old) = look.store.get(&record.key()) else {
                    continue;
                };
                let (old, new) = (cursor(old), cursor(record));
                hold(old <= new, || {
                    format!("the cursor goes back from {old:?} to {new:?}")
                })?;
                self.heard(look, commit, old, new)?;
            }
        }
        Ok(())
    }
}

impl Hooks {
    /// What the facts up to the new cursor asked for is durable, or is so with the cursor.
    fn heard(
        &self,
        look: Look<'_>,
        commit: Commit<'_>,
        old: FactNumber,
        new: FactNumber,
    ) -> Result<(), String> {
        let made = |wanted: BuildId| {
            look.store.is_known(wanted)
                || commit.batch.changes.iter().any(|change| match change {
                    Change::Put(Record::Build(build)) => build.spec.id == wanted,
                    Change::Put(record) => record.key() == Key::Finished(wanted),
                    _ => false,
                })
        };
        let mut at = old;
        while at < new {
            let Some(fact) = look.store.next_fact(at) else {
                return Err(format!("the cursor is at {new:?}, behind the last fact"));
            };
            if let Some(wanted) = follow_up(fact) {
                hold(made(wanted), || {
                    format!("{wanted}, asked for at {:?}, is lost", fact.number)
                })?;
            }
            at = fact.number;
        }
        Ok(())
    }
}
