//! What can be seen of a core that is not as the model has it.

use std::collections::{BTreeMap, BTreeSet};

use grange_coordinator_core::{Reply, StateCounts, Ticket, Why};
use grange_model::{BuildState, Fact, Item, LostCause, Record};

use super::drive::Drive;
use super::mismatch::{Mismatch, hold, same};
use super::model::{Answer, End, Model, Status};
use super::run::HOOK;
use super::store::Store;

/// Compares all that can be seen of a core, the first `told` facts of which are known, with a model that has done the same.
pub(super) fn agree(
    drive: &Drive,
    told: usize,
    small_slices: bool,
    model: &mut Model,
) -> Result<(), Mismatch> {
    model.finish()?;
    adopt_implicit_ends(model, &drive.store);
    compare_answers(drive, model)?;
    compare_unfinished(drive, model)?;
    compare_records(model, &drive.store)?;
    compare_finished(model, &drive.store, small_slices)?;
    let facts = drive.store.facts[told..].iter();
    let arrived: BTreeSet<_> = facts
        .filter_map(|fact| match fact.fact {
            Fact::Available { output } => Some(output),
            _ => None,
        })
        .collect();
    let lacking = model.step.arrived.iter().find(|it| !arrived.contains(*it));
    let detail = || format!("{lacking:?}");
    hold("what is available now is a fact", lacking.is_none(), detail)?;
    let cursor = drive.store.cursor(HOOK);
    same("how far the hook is", (), &cursor, &model.cursor)
}

fn compare_answers(drive: &Drive, model: &Model) -> Result<(), Mismatch> {
    let answers = drive.replies.iter();
    let answers = answers.map(|(ticket, reply)| (*ticket, answer(reply)));
    let answers: BTreeMap<Ticket, Answer> = answers.collect();
    let foretold = &model.step.answers;
    for ticket in answers.keys().chain(foretold.keys()) {
        let (said, right) = (answers.get(ticket), foretold.get(ticket).cloned());
        let right = said
            .zip(right.clone())
            .map(|(said, right)| unheard(said, right))
            .or(right);
        let right = right.as_ref();
        same("what is answered", ticket, &said, &right)?;
    }
    Ok(())
}

fn compare_unfinished(drive: &Drive, model: &Model) -> Result<(), Mismatch> {
    let core = &drive.core;
    let names: BTreeSet<_> = core.builds(None).map(|it| it.record.spec.id).collect();
    let right: BTreeSet<_> = model.builds.keys().copied().collect();
    same("which builds are unfinished", (), &names, &right)?;
    let mut counts = StateCounts::default();
    for status in core.builds(None) {
        let id = status.record.spec.id;
        let Some(build) = model.builds.get(&id) else {
            continue;
        };
        let name = (id, &status.record.derivation.name);
        let state = model.state(id);
        same("where a build stands", name, &Some(status.state), &state)?;
        let said = &status.record.spec;
        let mut right = build.spec.clone();
        if build.implicit {
            // Which of several builds it was made for does not matter.
            (right.priority, right.cause) = (said.priority, said.cause.clone());
        }
        same("what was asked for", name, said, &right)?;
        let flags = (status.record.implicit, status.record.rebuild);
        same(
            "implicit, rebuild",
            name,
            &flags,
            &(build.implicit, build.rebuild),
        )?;
        let derived = model.derived_priority(build.spec.derivation);
        let derived = derived.max(said.priority);
        same(
            "a derived priority",
            name,
            &status.derived_priority,
            &derived,
        )?;
        let why = core.why(id);
        let fits = match status.state {
            BuildState::Blocked => matches!(&why, Why::Blocked(blocked) if blocked.inputs > 0),
            BuildState::Running => why == Why::Running,
            _ => !matches!(why, Why::Blocked(_) | Why::Running | Why::NotUnfinished),
        };
        hold("why it stands there", fits, || format!("{name:?}: {why:?}"))?;
        match status.state {
            BuildState::Blocked => counts.blocked += 1,
            BuildState::Ready => counts.ready += 1,
            _ => counts.running += 1,
        }
    }
    same("how many builds there are", (), &core.counts(), &counts)?;
    let attempts = core.agents().flat_map(|agent| agent.attempts);
    for attempt in attempts {
        let id = attempt.record.id;
        let expired = model.is_expired(id);
        same(
            "whether an attempt has expired",
            id,
            &Some(attempt.expired),
            &expired,
        )?;
    }
    for output in model.all_outputs() {
        let expected = model.status(output) == Status::Expected;
        same(
            "what is expected",
            output,
            &core.is_expected(output),
            &expected,
        )?;
    }
    Ok(())
}

/// An answer without what nobody can foretell.
fn answer(reply: &Reply) -> Answer {
    match reply {
        Reply::Done => Answer::Done,
        Reply::Denied(denied) => Answer::Denied(denied.why),
        Reply::Submitted(results) => {
            let results = results.iter().map(|result| match result {
                Ok(accepted) => Ok(accepted.state),
                Err(denied) => Err(denied.why),
            });
            Answer::Submitted(results.collect())
        }
        Reply::Canceled(states) => Answer::Canceled(states.clone()),
        Reply::Pruned(needed) => Answer::Pruned(needed.clone()),
        Reply::Exchange(reply) => Answer::Exchange {
            assign: reply.assign.iter().map(|it| it.attempt).collect(),
            drop: reply.drop.iter().copied().collect(),
        },
    }
}

/// A build of a derivation that is being tried may not have heard yet what became of its inputs when its submitter is
/// answered; where it stands then is compared with all the others.
fn unheard(said: &Answer, right: Answer) -> Answer {
    let (Answer::Submitted(said), Answer::Submitted(right)) = (said, &right) else {
        return right;
    };
    if said.len() != right.len() {
        return Answer::Submitted(right.clone());
    }
    let waits = |state: BuildState| !state.is_final() || state == BuildState::FailedDependency;
    let results = said.iter().zip(right).map(|pair| match pair {
        (Ok(said), Ok(right)) if waits(*said) && waits(*right) => Ok(*said),
        (_, right) => *right,
    });
    Answer::Submitted(results.collect())
}

/// Whether an implicit build that nobody needs any more ends because of that, or because an input of it is lost, depends on which
/// of the two it hears of first.
fn adopt_implicit_ends(model: &mut Model, store: &Store) {
    let gave_up = [BuildState::Canceled, BuildState::FailedDependency];
    for finished in store.all_finished() {
        let id = finished.build.spec.id;
        if finished.build.implicit && gave_up.contains(&finished.state) && !model.knows(id) {
            // What was made, ended and made once more in one step, the model has but once.
            model.learn(finished);
            continue;
        }
        let end = model.finished.get(&id);
        let differs = end.is_some_and(|end| {
            let states = [end.state, finished.state];
            end.build.implicit
                && end.state != finished.state
                && states.iter().all(|it| gave_up.contains(it))
        });
        if differs {
            let roots = finished.causes.iter().map(|it| it.root_derivation.digest);
            model.ended_otherwise(id, finished.state, roots.collect());
        }
    }
}

fn compare_records(model: &Model, store: &Store) -> Result<(), Mismatch> {
    let mut here = BTreeMap::new();
    let mut upstream = BTreeSet::new();
    let mut failures = BTreeMap::new();
    let mut attempts = BTreeMap::new();
    for record in store.records.values() {
        match record {
            Record::Item(item) => {
                here.insert(item.item.digest, item.nar_hash);
            }
            Record::Upstream(item) => {
                upstream.insert(item.item.digest);
            }
            Record::Failure(failure) => {
                let until = (failure.reason, failure.expires_at);
                failures.insert(failure.derivation.digest, until);
            }
            Record::Attempt(attempt) => {
                attempts.insert(attempt.id, attempt.agent);
            }
            _ => {}
        }
    }
    same("what lies here", (), &here, &model.here)?;
    same("what others have", (), &upstream, &model.upstream)?;
    same(
        "which failures are remembered",
        (),
        &failures,
        &model.failures,
    )?;
    let right = model.attempts.iter().map(|(id, it)| (*id, it.agent));
    same(
        "which attempts are under way",
        (),
        &attempts,
        &right.collect(),
    )
}

fn compare_finished(model: &Model, store: &Store, small_slices: bool) -> Result<(), Mismatch> {
    for (id, end) in &model.finished {
        let Some(finished) = store.finished(*id) else {
            let detail = format!("{id}, as {:?}", end.state);
            return Err(Mismatch::new("what has ended is durable", detail));
        };
        same("how a build ended", id, &finished.state, &end.state)?;
        let outputs = finished.outputs.iter();
        let outputs = outputs.map(|it| (it.item.digest, it.nar_hash, it.canonical));
        same("what a build made", id, &outputs.collect(), &end.outputs)?;
        let lost = finished.state == BuildState::FailedDependency;
        let has = !finished.causes.is_empty();
        let name = || id.to_string();
        hold("what failed for an input says for which", lost == has, name)?;
        // In small slices, what is made for one input may end before another is looked at.
        if !end.build.implicit && !small_slices {
            check_causes(end, &finished.causes, store)?;
        }
    }
    for finished in store.all_finished() {
        let id = finished.build.spec.id;
        let known = model.finished.contains_key(&id);
        hold("what ended had to", known, || format!("{id}: {finished:?}"))?;
    }
    Ok(())
}

fn check_causes(end: &End, causes: &[LostCause], store: &Store) -> Result<(), Mismatch> {
    for cause in causes {
        let right = end.causes.get(&cause.output).is_some_and(|lost| {
            lost.makers.contains(&cause.derivation.digest)
                && lost.reasons.contains(&cause.reason)
                && lost.roots.contains(&cause.root_derivation.digest)
        });
        let detail = || format!("{cause:?}, not {:?}", end.causes);
        hold("why an input will not come", right, detail)?;
        let root = store.finished(cause.root);
        let of = |item: &Item| *item == cause.root_derivation;
        let known = root.is_some_and(|root| of(&root.build.derivation));
        hold("a root has ended", known, || format!("{cause:?}"))?;
    }
    Ok(())
}
