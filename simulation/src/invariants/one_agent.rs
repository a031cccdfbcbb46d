//! Two agents never try the same, unless the first one's lease ran out; and what is available is not
//! built, unless somebody asks for it again.
//!
//! Counter-example: a build becomes ready while two agents wait, and is given to both. Each works for
//! an hour for one result.

use std::collections::{BTreeMap, BTreeSet};

use grange_model::{AttemptId, BuildId, Change, Digest, Fact, Key, Record};

use super::invariant::{Commit, Invariant, Look, hold};

#[derive(Debug, Default)]
pub(super) struct OneAgent {
    /// Attempts whose agents were not heard of in time.
    expired: BTreeSet<AttemptId>,
    /// Who tries what.
    tries: BTreeMap<(Digest, Option<BuildId>), BTreeSet<AttemptId>>,
    places: BTreeMap<u32, ((Digest, Option<BuildId>), AttemptId)>,
    /// Of what the commit starts, what is available and stays so.
    available: BTreeSet<Digest>,
}

impl OneAgent {
    fn free(&mut self, place: u32) {
        if let Some((what, attempt)) = self.places.remove(&place)
            && let Some(tries) = self.tries.get_mut(&what)
        {
            tries.remove(&attempt);
            if tries.is_empty() {
                self.tries.remove(&what);
            }
        }
    }
}

impl Invariant for OneAgent {
    fn name(&self) -> &'static str {
        "one-agent"
    }

    fn before(&mut self, look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        let facts = &commit.batch.facts;
        let goes = |output: Digest| {
            let fact = Fact::Pruned { output };
            facts.contains(&fact)
        };
        for fact in facts {
            match fact {
                Fact::Expired { attempt, .. } => {
                    self.expired.insert(*attempt);
                }
                Fact::Started { derivation, .. } => {
                    let Some(record) = look.store.derivation(*derivation) else {
                        continue;
                    };
                    let mut outputs = record.outputs.iter().map(|output| output.item.digest);
                    if outputs.all(|output| look.store.has_item(output) && !goes(output)) {
                        self.available.insert(*derivation);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn after(&mut self, look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        let available = std::mem::take(&mut self.available);
        for fact in &commit.batch.facts {
            if let Fact::Started {
                derivation, builds, ..
            } = fact
                && available.contains(derivation)
            {
                let again = |build: &BuildId| {
                    let ended = look.store.finished(*build).map(|end| end.build.spec.again);
                    ended.unwrap_or_else(|| look.store.asks_again(*build))
                };
                hold(builds.iter().any(again), || {
                    format!("{derivation:?} is built though it is available")
                })?;
            }
        }
        for change in &commit.batch.changes {
            match change {
                Change::Put(Record::Attempt(attempt)) => {
                    let what = (attempt.derivation, attempt.again);
                    self.free(attempt.id.slot);
                    self.places.insert(attempt.id.slot, (what, attempt.id));
                    self.tries.entry(what).or_default().insert(attempt.id);
                }
                Change::Remove(Key::Attempt(place)) => self.free(*place),
                _ => {}
            }
        }
        for change in &commit.batch.changes {
            if let Change::Put(Record::Attempt(attempt)) = change
                && let Some(tries) = self.tries.get(&(attempt.derivation, attempt.again))
            {
                let trying = tries
                    .iter()
                    .filter(|attempt| !self.expired.contains(attempt));
                hold(trying.clone().count() <= 1, || {
                    format!("{:?} try the same", trying.collect::<Vec<_>>())
                })?;
            }
        }
        Ok(())
    }
}
