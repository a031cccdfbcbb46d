//! What somebody was told is durable, a refusal's cause included.
//!
//! Counter-example: two clients submit the same identifier, of two derivations. The first one's commit
//! is under way; the second is told "that is another derivation's". The coordinator crashes before the
//! commit is written, the first client is never heard of again, and the second relies on a build
//! that never was.

use grange_coordinator_core::{DeniedWhy, Reply};
use grange_model::{AttemptId, Change, Record};

use super::invariant::{Asked, Commit, Invariant, Look, hold};
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    /// Attempts that ever were durable.
    attempts: BTreeSet<AttemptId>,
}

impl Invariant for Acknowledged {
    fn name(&self) -> &'static str {
        "acknowledged"
    }

    fn after(&mut self, _look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        for change in &commit.batch.changes {
            if let Change::Put(Record::Attempt(attempt)) = change {
                self.attempts.insert(attempt.id);
            }
        }
        Ok(())
    }

    fn replied(&mut self, look: Look<'_>, asked: &Asked, reply: &Reply) -> Result<(), String> {
        match (asked, reply) {
            (Asked::Submit(specs), Reply::Submitted(results)) => {
                hold(specs.len() == results.len(), || {
                    format!("{} builds, {} results", specs.len(), results.len())
                })?;
                for (spec, result) in specs.iter().zip(results) {
                    let durable = look.store.derivation_of(spec.id);
                    match result {
                        Ok(_) => hold(durable == Some(spec.derivation), || {
                            format!("{} was accepted and is not durable", spec.id)
                        })?,
                        Err(denied) if denied.why == DeniedWhy::Conflict => {
                            hold(durable.is_some(), || {
                                format!(
                                    "{} was refused for what is not durable: {denied:?}",
                                    spec.id
                                )
                            })?;
                        }
                        Err(_) => {}
                    }
                }
                Ok(())
            }
            (Asked::Cancel(build), Reply::Canceled(states)) => {
                let ended = states
                    .first()
                    .copied()
                    .flatten()
                    .is_some_and(|state| state.is_final());
                hold(!ended || look.store.finished(*build).is_some(), || {
                    format!("{build} was said to have ended, which is not durable")
                })
            }
            (_, Reply::Exchange(told)) => told.assign.iter().try_for_each(|assignment| {
                let attempt = assignment.attempt;
                hold(self.attempts.contains(&attempt), || {
                    format!("{attempt} was given away and is not durable")
                })
            }),
            _ => Ok(()),
        }
    }
}
