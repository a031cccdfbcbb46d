//! Builds come into being.

use std::collections::{BTreeMap, BTreeSet};

use grange_coordinator_core::DeniedWhy;
use grange_model::{BuildId, BuildSpec, BuildState, Digest, Tags};

use super::facts::task_of;
use super::state::{Build, End, Model, Status, Trying};
use crate::reference::mismatch::Mismatch;

/// So often, an implicit build is made at most for one request.
const ENOUGH: u8 = 3;

type Outcome = Result<BuildState, DeniedWhy>;

/// A request, as far as it has come.
struct Request {
    wants: Vec<(BuildSpec, bool)>,
    results: Vec<Option<Outcome>>,
    roots: BTreeMap<Digest, Root>,
    done: BTreeMap<Digest, u8>,
    /// Derivations that were read, as unfinished builds did not say all of them.
    read: BTreeSet<Digest>,
    recheck: bool,
}

#[derive(Default)]
struct Root {
    wants: Vec<usize>,
    model: Option<BuildSpec>,
    again: bool,
}

impl Model {
    /// Makes builds, or looks once more at a derivation of which an agent misses inputs.
    pub(super) fn request(
        &mut self,
        wants: Vec<(BuildSpec, bool)>,
        recheck: Option<Digest>,
    ) -> Result<Vec<Outcome>, Mismatch> {
        let mut roots: BTreeMap<Digest, Root> = BTreeMap::new();
        let mut order = Vec::new();
        for (at, (spec, _)) in wants.iter().enumerate() {
            order.push(spec.derivation);
            let root = roots.entry(spec.derivation).or_default();
            root.wants.push(at);
            root.again |= spec.again;
            if spec.inputs && root.model.is_none() {
                root.model = Some(spec.clone());
            }
        }
        if let Some(derivation) = recheck {
            let builds = self.builds.values();
            let own = builds.filter(|build| build.spec.derivation == derivation);
            let model = own.map(|build| &build.spec).find(|spec| spec.inputs);
            let root = Root {
                wants: Vec::new(),
                model: model.cloned(),
                again: true,
            };
            roots.insert(derivation, root);
            order.push(derivation);
        }
        let mut request = Request {
            results: vec![None; wants.len()],
            wants,
            roots,
            done: BTreeMap::new(),
            read: BTreeSet::new(),
            recheck: recheck.is_some(),
        };
        for root in &order {
            self.needs(*root, &mut request);
        }
        for root in order {
            let model = request.roots.get(&root).and_then(|root| root.model.clone());
            self.make(root, model.as_ref(), &mut request)?;
        }
        let results = request.results.into_iter();
        Ok(results
            .map(|it| it.unwrap_or(Err(DeniedWhy::Wrong)))
            .collect())
    }

    /// Makes what is wanted of a derivation, or an implicit build of it, but its inputs first.
    fn make(
        &mut self,
        derivation: Digest,
        model: Option<&BuildSpec>,
        request: &mut Request,
    ) -> Result<(), Mismatch> {
        let before = request.done.get(&derivation).copied().unwrap_or(0);
        if before >= ENOUGH {
            return Ok(());
        }
        request.done.insert(derivation, ENOUGH);
        loop {
            let mut inputs = self.needs(derivation, request);
            inputs.retain(|it| request.done.get(it).is_none_or(|times| *times < ENOUGH));
            if inputs.is_empty() {
                break;
            }
            for input in inputs {
                self.make(input, model, request)?;
            }
        }
        let Some(root) = request.roots.get(&derivation) else {
            if self.make_implicit(derivation, model)? {
                request.done.insert(derivation, before + 1);
            }
            return Ok(());
        };
        for at in root.wants.clone() {
            let (spec, reopen) = request.wants[at].clone();
            let read = request.read.contains(&derivation);
            request.results[at] = Some(self.make_wanted(spec, reopen, read));
        }
        if request.recheck && self.is_live(derivation) {
            self.hear_of_lost_inputs(derivation);
        }
        Ok(())
    }

    /// Derivations of which there must be builds first.
    fn needs(&self, derivation: Digest, request: &mut Request) -> Vec<Digest> {
        let root = request.roots.get(&derivation);
        let again = root.is_some_and(|root| root.again);
        let all = root.is_none_or(|root| root.model.is_some());
        let said = self.complete.contains(&derivation) || !all;
        if !again && said && self.is_shared(derivation) {
            return Vec::new();
        }
        request.read.insert(derivation);
        let Some(record) = self.record(derivation) else {
            return Vec::new();
        };
        let done = self.outputs(derivation).all(|it| self.is_available(it));
        let failed = self.remembered(derivation, root.is_none()).is_some();
        if !again && (done || failed) {
            return Vec::new();
        }
        let needed = record.inputs.iter().filter(|input| {
            let status = self.status(input.output);
            let absent = matches!(status, Status::Lost | Status::Untried);
            let is_root = request.roots.contains_key(&input.derivation);
            absent && (is_root || (all && self.lost_cause(input).is_none()))
        });
        let needed: BTreeSet<_> = needed.map(|input| input.derivation).collect();
        needed.into_iter().collect()
    }

    fn make_wanted(&mut self, spec: BuildSpec, reopen: bool, read: bool) -> Outcome {
        let id = spec.id;
        let live = self.builds.get(&id).map(|build| build.spec.derivation);
        let ended = self.finished.get(&id).map(|end| end.build.spec.derivation);
        if let (Some(derivation), Some(state)) = (live.or(ended), self.state(id)) {
            if derivation != spec.derivation {
                return Err(DeniedWhy::Conflict);
            }
            if !(reopen && state == BuildState::FailedDependency) {
                return Ok(state);
            }
        }
        let record = self.record(spec.derivation).ok_or(DeniedWhy::NotFound)?;
        let build = Build {
            spec,
            implicit: false,
            rebuild: false,
            submitted_at: self.now,
        };
        if !reopen {
            return Ok(self.make_build(build));
        }
        let done = self
            .outputs(record.item.digest)
            .all(|it| self.is_available(it));
        let at_once = done || self.remembered(record.item.digest, false).is_some();
        let causes = record.inputs.iter().filter(|_| read && !at_once);
        let causes = causes.filter_map(|input| Some((input.output, self.lost_cause(input)?)));
        let causes: BTreeMap<_, _> = causes.collect();
        let Some(end) = self.finished.get_mut(&id) else {
            return Err(DeniedWhy::NotFound);
        };
        if !causes.is_empty() {
            end.causes = causes;
            return Ok(BuildState::FailedDependency);
        }
        let build = Build {
            submitted_at: end.build.submitted_at,
            rebuild: end.build.rebuild,
            ..build
        };
        self.finished.remove(&id);
        Ok(self.make_build(build))
    }

    fn make_implicit(
        &mut self,
        derivation: Digest,
        model: Option<&BuildSpec>,
    ) -> Result<bool, Mismatch> {
        let Some(model) = model else {
            return Ok(false);
        };
        if self.record(derivation).is_none()
            || self.outputs(derivation).all(|it| self.is_available(it))
            || self.is_live(derivation)
            || self.remembered(derivation, true).is_some()
        {
            return Ok(false);
        }
        let minted = self.told.minted.get_mut(&derivation);
        let Some(id) = minted.and_then(|minted| minted.pop_front()) else {
            let detail = format!("of {derivation:?}, for the sake of {}", model.id);
            return Err(Mismatch::new("an implicit build is made", detail));
        };
        let spec = BuildSpec {
            id,
            derivation,
            requires: Tags::new(),
            again: false,
            inputs: true,
            ..model.clone()
        };
        self.make_build(Build {
            spec,
            implicit: true,
            rebuild: false,
            submitted_at: self.now,
        });
        Ok(true)
    }

    /// A build begins, or ends at once.
    fn make_build(&mut self, mut build: Build) -> BuildState {
        let derivation = build.spec.derivation;
        let available = self.outputs(derivation).all(|it| self.is_available(it));
        if build.spec.again || !self.is_shared(derivation) {
            if available && !build.spec.again {
                return self.end_at_once(build, BuildState::Succeeded);
            }
            if !build.spec.again && self.remembered(derivation, false).is_some() {
                return self.end_at_once(build, BuildState::Failed);
            }
            build.rebuild = available;
        }
        if !self.is_live(derivation) {
            self.hear_of_lost_inputs(derivation);
            let outputs: Vec<_> = self.outputs(derivation).collect();
            for output in outputs {
                self.lost.remove(&output);
            }
        }
        if build.spec.inputs {
            self.complete.insert(derivation);
        }
        let id = build.spec.id;
        let task = task_of(id, &build);
        self.builds.insert(id, build);
        let age = self.now;
        self.tasks.entry(task).or_insert_with(|| Trying {
            age,
            avoided: BTreeMap::new(),
        });
        self.end_if_lost(task);
        self.state(id).unwrap_or(BuildState::Canceled)
    }

    fn end_at_once(&mut self, build: Build, state: BuildState) -> BuildState {
        let id: BuildId = build.spec.id;
        let end = End {
            build,
            state,
            causes: BTreeMap::new(),
            outputs: Vec::new(),
        };
        self.step.ended.insert(id);
        self.finished.insert(id, end);
        state
    }

    /// What is remembered of a derivation's inputs is known to all that need them from now on.
    fn hear_of_lost_inputs(&mut self, derivation: Digest) {
        let record = self.record(derivation).cloned();
        for input in record.iter().flat_map(|record| &record.inputs) {
            if self.status(input.output) == Status::Untried
                && let Some(lost) = self.lost_cause(input)
            {
                self.lost.insert(input.output, lost);
            }
        }
    }
}
