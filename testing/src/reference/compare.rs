//! The core beside the model: the same is handed to both, and all that can be seen is compared.

use std::collections::{BTreeMap, BTreeSet};

use grange_coordinator_core::{Core, Input, Reply, StateCounts, Ticket, Why};
use grange_model::{BuildState, Fact, Item, LostCause, Record, Seq, Timestamp};

use super::drive::Drive;
use super::mismatch::{Mismatch, hold, same};
use super::model::{Answer, End, Model, Status, Told};
use super::op::{Op, Outcome, Script};
use super::run::{Cast, HOOK};
use super::sketch::Sketch;
use super::store::Store;

/// A core and a model, side by side.
#[derive(Debug)]
pub struct Comparison {
    drive: Drive,
    model: Model,
    cast: Cast,
    now: Timestamp,
    small_slices: bool,
    /// Facts that the model has been told of.
    told: usize,
}

/// One way in which a step may be understood.
struct Way {
    model: Model,
    error: Option<Mismatch>,
}

impl Comparison {
    /// A farm to which nothing has happened yet.
    #[must_use]
    pub fn new(sketch: &Sketch) -> Self {
        Self::with(sketch, |_| ())
    }

    /// The same with a core that is set otherwise.
    #[must_use]
    pub fn with(
        sketch: &Sketch,
        change: impl FnOnce(&mut grange_coordinator_core::Config),
    ) -> Self {
        let mut config = sketch.config();
        change(&mut config);
        let records = sketch.records();
        Self {
            drive: Drive::new(config.clone()),
            model: Model::new(config, &records),
            cast: Cast::new(records, !sketch.small_slices),
            now: Timestamp(1_000_000),
            small_slices: sketch.small_slices,
            told: 0,
        }
    }

    /// Runs a script from its beginning to its end.
    ///
    /// # Errors
    ///
    /// Where core and model first differ.
    pub fn run(script: &Script) -> Result<(), Mismatch> {
        let mut comparison = Self::new(&script.sketch);
        script.ops.iter().try_for_each(|op| comparison.apply(op))
    }

    /// The core as it stands.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.drive.core
    }

    /// Does it with both, and compares.
    ///
    /// # Errors
    ///
    /// Where they differ.
    pub fn apply(&mut self, op: &Op) -> Result<(), Mismatch> {
        if self.drive.store.seq == Seq(0) {
            self.store_derivations()?;
        }
        self.pass(1)?;
        match op {
            Op::Pass { seconds } => self.pass(u64::from(*seconds) * 1_000),
            Op::Restart => self.restart(),
            Op::Cut { op, commits } => self.cut(op, *commits),
            _ => {
                let inputs = self.cast.inputs(self.now, &self.drive, op);
                self.drive.run(self.now, &inputs, None)?;
                self.understand(&inputs)
            }
        }
    }

    fn store_derivations(&mut self) -> Result<(), Mismatch> {
        let records = self.cast.records().iter().cloned();
        let records = records.map(Record::Derivation).collect();
        let ticket = self.cast.ticket();
        let inputs = vec![Input::Store { ticket, records }];
        self.drive.run(self.now, &inputs, None)?;
        self.understand(&inputs)
    }

    /// Time passes, with all timers on the way.
    fn pass(&mut self, milliseconds: u64) -> Result<(), Mismatch> {
        let end = Timestamp(self.now.0 + milliseconds);
        while let Some(at) = self.drive.next_timer()
            && at <= end
        {
            self.now = self.now.max(at);
            self.drive.wake(self.now)?;
            self.expire()?;
        }
        self.now = end;
        self.drive.wake(self.now)?;
        self.expire()
    }

    fn expire(&mut self) -> Result<(), Mismatch> {
        let told = self.tell();
        self.model.begin(self.now, told);
        self.model.pass(self.now)?;
        let model = self.model.clone();
        self.conclude(vec![Way { model, error: None }])
    }

    fn restart(&mut self) -> Result<(), Mismatch> {
        self.cast.hang_up();
        self.drive.restart(self.now)?;
        let told = self.tell();
        self.model.begin(self.now, told);
        self.model.restart(self.now)?;
        let model = self.model.clone();
        self.conclude(vec![Way { model, error: None }])
    }

    /// The coordinator ends while it does something, and is asked for it again.
    fn cut(&mut self, op: &Op, commits: u8) -> Result<(), Mismatch> {
        let once = match op {
            Op::Submit { .. } | Op::Follow | Op::Cancel { .. } => true,
            // What is looked up after the first commit is not looked up again.
            Op::Report { outcome, .. } => *outcome != Outcome::MissingInput,
            _ => false,
        };
        let inputs = self.cast.inputs(self.now, &self.drive, op);
        let commits = (once && !self.small_slices).then_some(usize::from(commits % 3));
        if self.drive.run(self.now, &inputs, commits)? {
            return self.understand(&inputs);
        }
        self.drive.replies.clear();
        self.cast.hang_up();
        self.drive.restart(self.now)?;
        let again = match op {
            Op::Follow => self.cast.inputs(self.now, &self.drive, op),
            _ => inputs.clone(),
        };
        self.drive.run(self.now, &again, None)?;
        // What was done may be lost, or not; nothing of it may be half there.
        let told = self.tell();
        let ways = [&[][..], &inputs].map(|before| {
            let mut model = self.model.clone();
            model.begin(self.now, told.clone());
            let done = handle(&mut model, before)
                .and_then(|()| model.restart(self.now))
                .and_then(|()| handle(&mut model, &again));
            Way {
                model,
                error: done.err(),
            }
        });
        self.conclude(ways.into())
    }

    /// The model does what the core has done; submissions may be understood in any order.
    fn understand(&mut self, inputs: &[Input]) -> Result<(), Mismatch> {
        let told = self.tell();
        let mut backwards = inputs.to_vec();
        backwards.reverse();
        let is_submission = |input: &Input| matches!(input, Input::Submit { .. });
        let any_order = inputs.len() > 1 && inputs.iter().all(is_submission);
        let mut orders = vec![inputs.to_vec()];
        orders.extend(any_order.then_some(backwards));
        let ways = orders.iter().map(|order| {
            let mut model = self.model.clone();
            model.begin(self.now, told.clone());
            let error = handle(&mut model, order).err();
            Way { model, error }
        });
        let ways = ways.collect();
        self.conclude(ways)
    }

    /// What the core said of late that the model cannot know.
    fn tell(&mut self) -> Told {
        let mut told = Told::default();
        for fact in &self.drive.store.facts[self.told..] {
            match &fact.fact {
                Fact::Submitted {
                    build,
                    derivation,
                    implicit: true,
                } => told
                    .minted
                    .entry(*derivation)
                    .or_default()
                    .push_back(*build),
                Fact::Started {
                    attempt,
                    derivation,
                    agent,
                    builds,
                } => {
                    self.cast.attempts.push((*attempt, *agent, *derivation));
                    told.started.push_back((*attempt, *agent, builds.clone()));
                }
                _ => {}
            }
        }
        told
    }

    /// Takes the first way that agrees with what is seen.
    fn conclude(&mut self, ways: Vec<Way>) -> Result<(), Mismatch> {
        let mut first = None;
        for mut way in ways {
            let error = match way.error.take() {
                None => self.agree(&mut way.model).err(),
                error => error,
            };
            let Some(error) = error else {
                self.model = way.model;
                self.hear();
                return Ok(());
            };
            let first = first.get_or_insert_with(|| error.clone());
            if *first != error {
                first.detail = format!("{}; or else, {error}", first.detail);
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Agents and clients hear what they are told.
    fn hear(&mut self) {
        self.told = self.drive.store.facts.len();
        for (ticket, reply) in std::mem::take(&mut self.drive.replies) {
            let mut clients = self.cast.agents.values_mut();
            if let Some(client) = clients.find(|client| client.waits == Some(ticket)) {
                client.waits = None;
                if let Reply::Exchange(reply) = reply {
                    client.held.extend(reply.assign.iter().map(|it| it.attempt));
                    client.held.retain(|held| !reply.drop.contains(held));
                }
            }
        }
    }

    fn agree(&self, model: &mut Model) -> Result<(), Mismatch> {
        model.finish()?;
        adopt_implicit_ends(model, &self.drive.store);
        self.compare_answers(model)?;
        self.compare_unfinished(model)?;
        compare_records(model, &self.drive.store)?;
        compare_finished(model, &self.drive.store, self.small_slices)?;
        let facts = self.drive.store.facts[self.told..].iter();
        let arrived: BTreeSet<_> = facts
            .filter_map(|fact| match fact.fact {
                Fact::Available { output } => Some(output),
                _ => None,
            })
            .collect();
        let lacking = model.step.arrived.iter().find(|it| !arrived.contains(*it));
        let detail = || format!("{lacking:?}");
        hold("what is available now is a fact", lacking.is_none(), detail)?;
        let cursor = self.drive.store.cursor(HOOK);
        same("how far the hook is", (), &cursor, &model.cursor)
    }

    fn compare_answers(&self, model: &Model) -> Result<(), Mismatch> {
        let answers = self.drive.replies.iter();
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

    fn compare_unfinished(&self, model: &Model) -> Result<(), Mismatch> {
        let core = &self.drive.core;
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
                BuildState::Blocked => matches!(why, Why::Blocked { inputs: 1.., .. }),
                BuildState::Running => why == Why::Running,
                _ => !matches!(why, Why::Blocked { .. } | Why::Running | Why::NotUnfinished),
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
}

fn handle(model: &mut Model, inputs: &[Input]) -> Result<(), Mismatch> {
    inputs.iter().try_for_each(|input| model.handle(input))
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
