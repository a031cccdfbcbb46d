//! Builds come into being.

use std::sync::Arc;

use grange_model::{
    BuildId, BuildRecord, BuildSpec, BuildState, DerivationRecord, Digest, Fact, FinishedBuild,
    Key, Record, Resources, Tags, Timestamp,
};

use crate::ask::Ask;
use crate::eligible::with_features;
use crate::end::lost_reason;
use crate::few::Few;
use crate::io::{Accepted, Denied, DeniedWhy};
use crate::machine::Core;
use crate::queue::Class;
use crate::request::{Known, Request, Want};
use crate::slab::{Ix, Slab};
use crate::tables::{Build, Derivation, SetupFailures, Stage, Task, TaskState};

/// What a new build counts for in a slice of work, beside its inputs.
const MAKE_EDGES: usize = 16;

/// A build that is about to be entered: what is kept of it beside its place.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(crate) id: BuildId,
    pub(crate) submitted_at: Timestamp,
    pub(crate) ask: Arc<Ask>,
    pub(crate) setup_failures: Option<Box<SetupFailures>>,
    pub(crate) priority: i32,
    pub(crate) implicit: bool,
    pub(crate) rebuild: bool,
}

/// Where a derivation is known from.
enum Source {
    Read(Arc<DerivationRecord>),
    /// It was not read, as others try it whose attempts can be shared.
    Shared(Ix<Derivation>),
}

impl Core {
    /// Makes one of the builds that are asked for; it may end at once.
    pub(crate) fn make_wanted(&mut self, known: &Known, want: Want) -> Result<Accepted, Denied> {
        let Want { spec, reopen } = want;
        let (id, digest) = (spec.id, spec.derivation);
        let live = self.names.builds.get(&id).map(|build| {
            let build = &self.builds[*build];
            let derivation = self.derivation_of(build).item.digest;
            (derivation, self.state_of(build.task))
        });
        let read = known.finished.get(&id).and_then(Option::as_deref);
        let finished = || read.map(|read| (read.build.spec.derivation, read.state));
        let before = live.or_else(|| self.recent.build(id)).or_else(finished);
        if let Some((derivation, state)) = before {
            let goes_on = reopen && state == BuildState::FailedDependency;
            if derivation != digest {
                return Err(Denied {
                    why: DeniedWhy::Conflict,
                    message: format!("build {id} is of another derivation"),
                });
            } else if !goes_on {
                return Ok(Accepted::now(state));
            }
        }
        let not_found = |message: String| Denied {
            why: DeniedWhy::NotFound,
            message,
        };
        let source = match known.derivations.get(&digest) {
            Some(Some(record)) => Source::Read(Arc::clone(record)),
            _ => match self.find_derivation(digest) {
                Some(ix) => Source::Shared(ix),
                None => {
                    let message = "the coordinator does not have the derivation: send it first";
                    return Err(not_found(message.to_owned()));
                }
            },
        };
        if reopen {
            let none = || not_found(format!("there is no finished build {id}"));
            let finished = read.ok_or_else(none)?;
            return Ok(self.reopen(known, &source, spec, finished));
        }
        self.refuse_crowd(digest)?;
        let record = match source {
            Source::Read(record) => record,
            Source::Shared(ix) => return self.share(ix, spec),
        };
        let (system, features) = (&record.system, &record.features);
        self.refuse_class(system, features, &spec)?;
        let warnings = self.warnings(system, features, &spec.requires, &spec.resources);
        let build = self.new_build(&record, spec, false);
        self.ledger.fact(submitted(&build));
        let state = self.make_build(known, &record, build);
        Ok(Accepted { state, warnings })
    }

    /// Another build of a derivation that is being tried.
    fn share(&mut self, ix: Ix<Derivation>, spec: BuildSpec) -> Result<Accepted, Denied> {
        let derivation = &self.derivations[ix];
        let (system, features) = (&derivation.kind.system, &derivation.kind.features);
        self.refuse_class(system, features, &spec)?;
        let warnings = self.warnings(system, features, &spec.requires, &spec.resources);
        let build = BuildRecord {
            slot: 0,
            spec,
            derivation: derivation.item.clone(),
            implicit: false,
            rebuild: false,
            submitted_at: self.now,
            setup_failures: Vec::new(),
        };
        self.ledger.fact(submitted(&build));
        let state = self.place_build(ix, build);
        Ok(Accepted { state, warnings })
    }

    /// Whether a build that wants no attempt of its own ends without one.
    fn ends_at_once(&self, known: &Known, record: &DerivationRecord) -> bool {
        let mut outputs = record.outputs.iter();
        outputs.all(|output| self.is_available(known, output.item.digest))
            || self.remembered(known, record.item.digest, false).is_some()
    }

    /// A build that had ended as failed-dependency goes on, if no input is lost any more.
    fn reopen(
        &mut self,
        known: &Known,
        source: &Source,
        spec: BuildSpec,
        finished: &FinishedBuild,
    ) -> Accepted {
        let digest = spec.derivation;
        let causes = match source {
            // Who needs no attempt needs no inputs.
            Source::Read(record) if !self.ends_at_once(known, record) => {
                self.lost_causes(known, record)
            }
            Source::Read(_) | Source::Shared(_) => Vec::new(),
        };
        if !causes.is_empty() {
            // It waits for other inputs now, and is found by these when they come.
            let reason = lost_reason(&causes);
            self.ledger.put(Record::Finished(FinishedBuild {
                causes,
                reason,
                ..finished.clone()
            }));
            return Accepted::now(BuildState::FailedDependency);
        }
        let build = BuildRecord {
            spec,
            // Those that need it have ended and wait for nobody: it must not end with them.
            implicit: false,
            setup_failures: Vec::new(),
            ..finished.build.clone()
        };
        let id = build.spec.id;
        self.ledger.remove(Key::Finished(id));
        self.ledger.fact(Fact::Reopened {
            build: id,
            derivation: digest,
        });
        let state = match source {
            Source::Read(record) => self.make_build(known, record, build),
            Source::Shared(ix) => self.place_build(*ix, build),
        };
        Accepted::now(state)
    }

    /// Makes an implicit build of a derivation that nobody has tried; whether there was a need.
    pub(crate) fn make_implicit(&mut self, request: &mut Request, digest: Digest) -> bool {
        let known = &request.known;
        let Some(Some(record)) = known.derivations.get(&digest) else {
            return false;
        };
        let mut outputs = record.outputs.iter().map(|output| output.item.digest);
        if outputs.all(|output| self.is_available(known, output))
            || self.find_derivation(digest).is_some()
            || self.remembered(known, digest, true).is_some()
        {
            return false;
        }
        let Some(model) = request.model() else {
            return false;
        };
        let spec = BuildSpec {
            id: self.identifiers.next(self.now),
            derivation: digest,
            requires: Tags::new(),
            resources: Resources::new(),
            again: false,
            inputs: true,
            ..model.clone()
        };
        let record = Arc::clone(record);
        // There are at most as many classes as systems here: these never count as too many.
        let build = self.new_build(&record, spec, true);
        self.ledger.fact(submitted(&build));
        self.make_build(known, &record, build);
        if let Some(ix) = self.find_derivation(digest) {
            request.made.push((ix, self.derivations.generation(ix)));
        }
        true
    }

    fn new_build(&self, record: &DerivationRecord, spec: BuildSpec, implicit: bool) -> BuildRecord {
        BuildRecord {
            slot: 0,
            spec,
            derivation: record.item.clone(),
            implicit,
            rebuild: false,
            submitted_at: self.now,
            setup_failures: Vec::new(),
        }
    }

    /// A build begins, or ends at once; returns where it stands.
    fn make_build(
        &mut self,
        known: &Known,
        record: &DerivationRecord,
        mut build: BuildRecord,
    ) -> BuildState {
        let digest = record.item.digest;
        let live = self.find_derivation(digest);
        if let Some(ix) = live
            && !build.spec.again
            && self.is_shared(ix)
        {
            return self.place_build(ix, build);
        }
        let mut outputs = record.outputs.iter().map(|output| output.item.digest);
        let available = outputs.all(|output| self.is_available(known, output));
        if available && !build.spec.again {
            let reason = "every output was available".to_owned();
            return self.end_at_once(record, build, BuildState::Succeeded, reason);
        }
        let failure = self.remembered(known, digest, false);
        if !build.spec.again
            && let Some(failure) = failure
        {
            let (earlier, message) = (failure.build, &failure.message);
            let reason = format!("it failed before, in build {earlier}: {message}");
            return self.end_at_once(record, build, BuildState::Failed, reason);
        }
        build.rebuild = available && build.spec.again;
        let ix = live.unwrap_or_else(|| {
            let nodes = self.take_in(known, record);
            self.insert_derivation(record, nodes)
        });
        self.place_build(ix, build)
    }

    fn end_at_once(
        &mut self,
        record: &DerivationRecord,
        build: BuildRecord,
        state: BuildState,
        reason: String,
    ) -> BuildState {
        let (id, derivation) = (build.spec.id, record.item.digest);
        self.ledger.fact(Fact::Ended {
            build: id,
            derivation,
            state,
        });
        let seq = self.ledger.upcoming();
        self.recent.build_ended(seq, id, derivation, state);
        self.ledger.put(Record::Finished(FinishedBuild {
            build,
            system: record.system.clone(),
            state,
            ended_at: self.now,
            attempts: Vec::new(),
            outputs: Vec::new(),
            causes: Vec::new(),
            reason,
        }));
        state
    }

    fn place_build(&mut self, derivation: Ix<Derivation>, mut record: BuildRecord) -> BuildState {
        record.slot = self.builds.vacant().0;
        self.edges += MAKE_EDGES;
        let id = record.spec.id;
        let new = self.derivations[derivation].tasks.is_empty();
        let row = self.newcomer(&record);
        let (task, build) = self.enlist(derivation, row, Slab::insert);
        self.names.builds.insert(id, build);
        self.ledger.put(Record::Build(record));
        if new {
            self.expect_outputs(derivation);
            self.attach_inputs(derivation);
            self.break_new_cycles(derivation);
        } else {
            let row = &self.tasks[task];
            if row.line.is_none() && row.state() != TaskState::Running {
                self.join_line(task);
            }
            self.priority_changed(derivation);
        }
        if matches!(self.tasks[task].state(), TaskState::BackedOff(_)) {
            // Other agents than before may be able to take it now.
            self.set_state(task, TaskState::Blocked);
        }
        if self.tasks[task].state() != TaskState::Running {
            self.evaluate(task);
            self.back_off_if_avoided(task);
        }
        match self.names.builds.get(&id) {
            Some(build) => self.state_of(self.builds[*build].task),
            None => {
                let ended = self.recent.build(id);
                ended.map_or(BuildState::FailedDependency, |(_, state)| state)
            }
        }
    }

    /// What is kept of a build, before it has its place.
    pub(crate) fn newcomer(&mut self, record: &BuildRecord) -> Newcomer {
        let failures = &record.setup_failures;
        Newcomer {
            id: record.spec.id,
            submitted_at: record.submitted_at,
            ask: self.asks.join(&record.spec),
            setup_failures: (!failures.is_empty())
                .then(|| Box::new(SetupFailures(failures.clone()))),
            priority: record.spec.priority,
            implicit: record.implicit,
            rebuild: record.rebuild,
        }
    }

    /// Enters a build into the tables, but not under its name; returns its task and its row.
    pub(crate) fn enlist(
        &mut self,
        derivation: Ix<Derivation>,
        new: Newcomer,
        insert: impl FnOnce(&mut Slab<Build>, Build) -> Ix<Build>,
    ) -> (Ix<Task>, Ix<Build>) {
        let Newcomer {
            id,
            submitted_at,
            ask,
            setup_failures,
            priority,
            implicit,
            rebuild,
        } = new;
        self.derivations[derivation].complete |= ask.inputs;
        let task = self.task_for(derivation, ask.again);
        if self.ask_for(task, &ask.resources) {
            self.change_classes(task);
        }
        let class = self.join_class(task, &ask);
        let row = Build {
            id,
            submitted_at,
            ask,
            setup_failures,
            task,
            class,
            priority,
            implicit,
            rebuild,
        };
        let build = insert(&mut self.builds, row);
        self.tasks[task].builds.push(build);
        *self.counter(task) += 1;
        if !implicit {
            self.derivations[derivation].own.add(priority);
        }
        (task, build)
    }

    /// The task that a build of this derivation belongs to.
    fn task_for(&mut self, derivation: Ix<Derivation>, again: bool) -> Ix<Task> {
        if !again {
            let shared = |task: &&Ix<Task>| !self.tasks[**task].again;
            if let Some(&task) = self.derivations[derivation].tasks.iter().find(shared) {
                return task;
            }
        }
        self.next_order += 1;
        let task = self.tasks.insert(Task {
            derivation,
            again,
            builds: Few::None,
            stage: Stage::Blocked,
            order: self.next_order,
            moment: self.now,
            classes: Few::None,
            line: None,
            queued: None,
            tries: None,
        });
        self.derivations[derivation].tasks.push(task);
        task
    }

    /// The class of a build that asks so; the task joins its queue.
    pub(crate) fn join_class(&mut self, task: Ix<Task>, ask: &Ask) -> Ix<Class> {
        let row = &self.tasks[task];
        let kind = &self.derivations[row.derivation].kind;
        let requires = with_features(&ask.requires, &kind.features);
        let none = Resources::new();
        let asked = row.tries.as_ref().map_or(&none, |tries| &tries.asked);
        let demand = self.demand(asked);
        let name = &self.derivations[row.derivation].item.name;
        let demand = self.with_prediction(demand, name, &kind.system);
        let class = self.classes.join(&kind.system, &requires, demand);
        if !self.tasks[task].classes.contains(&class) {
            self.unlist(task);
            self.tasks[task].classes.push(class);
            self.list(task);
        }
        class
    }

    /// The state of a task's builds.
    pub(crate) fn state_of(&self, task: Ix<Task>) -> BuildState {
        match self.tasks[task].state() {
            TaskState::Blocked => BuildState::Blocked,
            TaskState::Ready | TaskState::BackedOff(_) => BuildState::Ready,
            TaskState::Running => BuildState::Running,
        }
    }
}

fn submitted(build: &BuildRecord) -> Fact {
    Fact::Submitted {
        build: build.spec.id,
        derivation: build.derivation.digest,
        implicit: build.implicit,
    }
}
