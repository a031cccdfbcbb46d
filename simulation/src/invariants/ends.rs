//! Each end has its reason: what succeeded has its outputs, what failed was tried and fails, what
//! failed for a dependency names one that failed or was canceled. An end is an end, but for those
//! that were reopened.
//!
//! Counter-example: an input fails, is tried again and succeeds, while the news of its failure is on
//! its way to the 39,000 builds that need it. Half of them would end for a cause that is none.

use grange_coordinator_core::Core;
use grange_model::{BuildState, Change, Digest, Fact, FinishedBuild, LostReason, Record};

use super::invariant::{Commit, Invariant, Look, hold};

#[derive(Debug)]
pub(super) struct Ends;

impl Invariant for Ends {
    fn name(&self) -> &'static str {
        "ends"
    }

    fn before(&mut self, look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        for change in &commit.batch.changes {
            match change {
                Change::Put(Record::Finished(finished)) => {
                    let before = look.store.finished(finished.build.spec.id);
                    let open = before.is_none_or(|end| end.state == BuildState::FailedDependency);
                    hold(open, || format!("{} ends twice", finished.build.spec.id))?;
                }
                Change::Put(Record::Build(build)) => {
                    let derivation = build.spec.derivation;
                    hold(look.store.derivation(derivation).is_some(), || {
                        format!("{} is of no derivation", build.spec.id)
                    })?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn after(&mut self, look: Look<'_>, commit: Commit<'_>) -> Result<(), String> {
        for change in &commit.batch.changes {
            if let Change::Put(Record::Finished(finished)) = change {
                check(look, commit, finished)?;
            }
        }
        Ok(())
    }

    fn full(&mut self, look: Look<'_>, _core: &Core, _settled: bool) -> Result<(), String> {
        for record in look.store.records() {
            if let Record::Finished(finished) = record
                && finished.state == BuildState::Failed
            {
                fails(look, finished)?;
            }
        }
        Ok(())
    }
}

fn check(look: Look<'_>, commit: Commit<'_>, finished: &FinishedBuild) -> Result<(), String> {
    let id = finished.build.spec.id;
    let Some(record) = look.store.derivation(finished.build.spec.derivation) else {
        return Err(format!("{id} is of no derivation"));
    };
    let name = &record.item.name;
    // It may have been reopened by the same commit, and then goes on.
    let reopened = Fact::Reopened {
        build: id,
        derivation: record.item.digest,
    };
    let goes_on = look.store.is_unfinished(id) && !commit.batch.facts.contains(&reopened);
    hold(!goes_on, || format!("{id} goes on after its end"))?;
    if finished.state != BuildState::FailedDependency {
        hold(finished.causes.is_empty(), || {
            format!("{id} ({name}) has causes")
        })?;
    }
    match finished.state {
        BuildState::Succeeded => {
            let there = |output: &Digest| {
                let pruned = Fact::Pruned { output: *output };
                look.store.has_item(*output) || commit.batch.facts.contains(&pruned)
            };
            let outputs = record.outputs.iter();
            let lacking = outputs.filter(|output| !there(&output.item.digest)).count();
            hold(lacking == 0, || {
                format!("{name} succeeded without {lacking} outputs")
            })
        }
        BuildState::Failed => fails(look, finished),
        BuildState::FailedDependency => {
            hold(!finished.causes.is_empty(), || {
                format!("{name} failed for no cause")
            })?;
            finished.causes.iter().try_for_each(|cause| {
                let needed = record
                    .inputs
                    .iter()
                    .any(|input| input.output == cause.output);
                hold(needed, || format!("{name} does not need {cause:?}"))?;
                let root = look.store.finished(cause.root);
                let real = root.is_some_and(|root| {
                    let state = matches!(root.state, BuildState::Failed | BuildState::Canceled);
                    state && root.build.derivation == cause.root_derivation
                });
                hold(real, || format!("{name}: {cause:?} has no such root"))?;
                let direct = cause.reason != LostReason::FailedDependency;
                hold(!direct || cause.root == cause.build, || {
                    format!("{name}: {cause:?}")
                })
            })
        }
        _ => Ok(()),
    }
}

fn fails(look: Look<'_>, finished: &FinishedBuild) -> Result<(), String> {
    let derivation = finished.build.spec.derivation;
    hold(look.scenario.failing.contains(&derivation), || {
        format!(
            "{} failed, which it never does: {}",
            finished.build.derivation.name, finished.reason
        )
    })
}
