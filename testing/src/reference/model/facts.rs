//! What follows from the sets.

use std::collections::BTreeSet;

use grange_model::{BuildId, BuildState, DerivationRecord, Digest, InputRef, LostReason};

use super::state::{Agent, Build, Lost, Model, Status, Task};

impl Model {
    pub(super) fn record(&self, derivation: Digest) -> Option<&DerivationRecord> {
        self.records.get(&derivation)
    }

    pub(super) fn inputs(&self, derivation: Digest) -> impl Iterator<Item = Digest> + '_ {
        let record = self.record(derivation);
        record
            .into_iter()
            .flat_map(|record| &record.inputs)
            .map(|input| input.output)
    }

    pub(super) fn outputs(&self, derivation: Digest) -> impl Iterator<Item = Digest> + '_ {
        let record = self.record(derivation);
        record
            .into_iter()
            .flat_map(|record| &record.outputs)
            .map(|output| output.item.digest)
    }

    pub(super) fn tasks_of(&self, derivation: Digest) -> impl Iterator<Item = Task> + '_ {
        let tasks = self.tasks.keys().copied();
        tasks.filter(move |task| task.0 == derivation)
    }

    pub(super) fn builds_of(&self, task: Task) -> impl Iterator<Item = (BuildId, &Build)> + '_ {
        let builds = self.builds.iter().map(|(id, build)| (*id, build));
        builds.filter(move |(id, build)| task_of(*id, build) == task)
    }

    /// Whether an unfinished build is of the derivation.
    pub(super) fn is_live(&self, derivation: Digest) -> bool {
        self.tasks_of(derivation).next().is_some()
    }

    pub(super) fn is_shared(&self, derivation: Digest) -> bool {
        self.tasks.contains_key(&(derivation, None))
    }

    /// Derivations with unfinished builds.
    pub(super) fn live(&self) -> BTreeSet<Digest> {
        self.tasks
            .keys()
            .map(|(derivation, _)| *derivation)
            .collect()
    }

    /// Those of them that make an output.
    pub(super) fn makers(&self, output: Digest) -> impl Iterator<Item = Digest> + '_ {
        let live = self.live().into_iter();
        live.filter(move |derivation| self.outputs(*derivation).any(|it| it == output))
    }

    /// Those of them that need an output.
    pub(super) fn users(&self, output: Digest) -> impl Iterator<Item = Digest> + '_ {
        let live = self.live().into_iter();
        live.filter(move |derivation| self.inputs(*derivation).any(|it| it == output))
    }

    pub(super) fn is_used(&self, output: Digest) -> bool {
        self.makers(output)
            .chain(self.users(output))
            .next()
            .is_some()
    }

    pub(super) fn is_available(&self, output: Digest) -> bool {
        self.here.contains_key(&output) || self.upstream.contains(&output)
    }

    pub(in crate::reference) fn status(&self, output: Digest) -> Status {
        if self.is_available(output) {
            Status::Available
        } else if self.makers(output).next().is_some() {
            Status::Expected
        } else if self.lost.contains_key(&output) {
            Status::Lost
        } else {
            Status::Untried
        }
    }

    /// Every output that is made or needed by anything.
    pub(in crate::reference) fn all_outputs(&self) -> BTreeSet<Digest> {
        let derivations = self.records.keys();
        derivations
            .flat_map(|derivation| self.inputs(*derivation).chain(self.outputs(*derivation)))
            .collect()
    }

    pub(super) fn is_running(&self, task: Task) -> bool {
        let mut attempts = self.attempts.values();
        attempts.any(|attempt| attempt.task == task && !attempt.expired)
    }

    pub(super) fn task_state(&self, task: Task) -> BuildState {
        let expected = |input| self.status(input) == Status::Expected;
        if self.is_running(task) {
            BuildState::Running
        } else if self.inputs(task.0).any(expected) {
            BuildState::Blocked
        } else {
            BuildState::Ready
        }
    }

    /// Where a build stands, unfinished or not.
    pub(in crate::reference) fn state(&self, id: BuildId) -> Option<BuildState> {
        let unfinished = self.builds.get(&id);
        let unfinished = unfinished.map(|build| self.task_state(task_of(id, build)));
        unfinished.or_else(|| self.finished.get(&id).map(|end| end.state))
    }

    /// The highest priority of a derivation's own builds and of all that wait for what it brings.
    pub(in crate::reference) fn derived_priority(&self, derivation: Digest) -> i32 {
        let own = self.builds.values();
        let own = own.filter(|build| build.spec.derivation == derivation && !build.implicit);
        let own = own.map(|build| build.spec.priority).max();
        let lacking = self
            .outputs(derivation)
            .filter(|it| !self.is_available(*it));
        let users = lacking.flat_map(|output| self.users(output));
        let users = users.map(|user| self.derived_priority(user)).max();
        own.max(users).unwrap_or(i32::MIN)
    }

    /// The failure that is remembered, if it counts. A cancellation counts for those only who need what was canceled.
    pub(super) fn remembered(&self, derivation: Digest, for_user: bool) -> Option<LostReason> {
        let (reason, until) = *self.failures.get(&derivation)?;
        let counts = for_user || reason != LostReason::Canceled;
        (counts && until > self.now).then_some(reason)
    }

    /// Why an input will not come, if it will not.
    pub(super) fn lost_cause(&self, input: &InputRef) -> Option<Lost> {
        match self.status(input.output) {
            Status::Available | Status::Expected => None,
            Status::Lost => self.lost.get(&input.output).cloned(),
            Status::Untried => {
                let reason = self.remembered(input.derivation, true)?;
                Some(Lost::by(input.derivation, reason))
            }
        }
    }

    /// Whether the agent is one that could take the task.
    pub(super) fn fits(&self, task: Task, agent: &Agent) -> bool {
        let Some(record) = self.record(task.0) else {
            return false;
        };
        let offer = |key: &String| {
            let operators = agent.record.tags.get(key);
            operators.or_else(|| agent.capacity.tags.get(key))
        };
        let mut builds = self.builds_of(task);
        agent.capacity.systems.contains(&record.system)
            && builds.any(|(_, build)| {
                let mut requires = build.spec.requires.clone();
                let features = record.features.iter();
                requires.extend(features.map(|it| (format!("feature:{it}"), "yes".to_owned())));
                let exclusive = &agent.capacity.exclusive;
                requires
                    .iter()
                    .all(|(key, value)| offer(key) == Some(value))
                    && exclusive.iter().all(|key| requires.contains_key(key))
            })
    }

    /// Whether the agent waits and has room.
    pub(super) fn has_room(&self, agent: &Agent) -> bool {
        let id = agent.record.id;
        let held = self.attempts.values().filter(|it| it.agent == id);
        let busy = held.clone().filter(|it| !it.uploading).count();
        let most = (agent.capacity.parallel + agent.capacity.ahead) as usize;
        agent.wait.is_some() && !agent.record.paused && held.count() < 2 * most + 2 && busy < most
    }

    /// Whether an agent that fits may get the task, if it is ready. `sure`: whatever the core may have forgotten.
    pub(super) fn may_have(&self, task: Task, agent: &Agent, sure: bool) -> bool {
        let id = agent.record.id;
        let mut attempts = self.attempts.values();
        let holds = attempts.any(|it| it.task == task && it.agent == id);
        let avoided = self.tasks.get(&task).and_then(|it| it.avoided.get(&id));
        let avoided = avoided.is_some_and(|(_, until)| *until > self.now);
        let vague = self.vague.contains(&task.0);
        !holds && if vague { !sure } else { !avoided }
    }
}

pub(in crate::reference) fn task_of(id: BuildId, build: &Build) -> Task {
    (build.spec.derivation, build.spec.again.then_some(id))
}
