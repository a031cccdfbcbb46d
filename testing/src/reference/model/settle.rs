//! What follows from a change, and who got what because of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use grange_model::{
    AgentId, AttemptId, BuildId, BuildState, Digest, FinishedBuild, LostReason, Timestamp,
};

use super::facts::task_of;
use super::state::{Answer, Attempt, Build, End, Lost, Model, Status, Task};
use crate::reference::mismatch::{Mismatch, hold};

/// Whoever is less comes first.
type Place = (Reverse<i32>, Timestamp);

impl Model {
    /// Ends what must end, until nothing changes; then takes over what the core gave to agents.
    pub(super) fn settle(&mut self) -> Result<(), Mismatch> {
        self.hear();
        loop {
            let tasks: Vec<_> = self.tasks.keys().copied().collect();
            let mut any = false;
            for task in tasks {
                any |= self.tasks.contains_key(&task) && self.end_if_lost(task);
            }
            if !any {
                for derivation in self.live() {
                    any |= self.end_unwanted(derivation);
                }
            }
            self.hear();
            if !any {
                break;
            }
        }
        self.hear_of_more_causes();
        self.take_started()
    }

    /// What has ended for want of an input may have heard of more than one.
    fn hear_of_more_causes(&mut self) {
        for id in self.step.ended.clone() {
            let Some(end) = self.finished.get(&id) else {
                continue;
            };
            if end.state == BuildState::FailedDependency {
                let causes = self.lost_inputs(end.build.spec.derivation);
                if let Some(end) = self.finished.get_mut(&id) {
                    for (output, lost) in causes {
                        end.causes.entry(output).or_default().or(&lost);
                    }
                }
            }
        }
    }

    /// What was missing may be there now: who failed for it may try again.
    fn hear(&mut self) {
        for output in self.all_outputs() {
            let status = self.status(output);
            let before = self.heard.insert(output, status);
            if before.is_none_or(|before| before == status)
                || !matches!(status, Status::Available | Status::Untried)
            {
                continue;
            }
            let users: Vec<_> = self.users(output).collect();
            let tasks: Vec<_> = self.tasks.keys().copied().collect();
            for task in tasks {
                if users.contains(&task.0)
                    && !self.is_running(task)
                    && let Some(trying) = self.tasks.get_mut(&task)
                {
                    trying.avoided.clear();
                }
            }
        }
    }

    fn place(&self, task: Task) -> Place {
        let age = self.tasks.get(&task).map_or(self.now, |trying| trying.age);
        (Reverse(self.derived_priority(task.0)), age)
    }

    /// Takes over the assignments that are allowed now.
    fn take_started(&mut self) -> Result<(), Mismatch> {
        let mut given = Vec::new();
        let pending = std::mem::take(&mut self.told.started);
        for (id, agent, builds) in pending {
            match self.may_start(agent, &builds) {
                Some(task) => {
                    given.push((task, self.place(task), agent));
                    self.start(id, agent, task);
                }
                None => self.told.started.push_back((id, agent, builds)),
            }
        }
        if self.config.slice > 1 {
            for (task, place, agent) in given {
                self.check_best(task, place, agent)?;
            }
        }
        Ok(())
    }

    fn may_start(&self, agent: AgentId, builds: &[BuildId]) -> Option<Task> {
        let first = *builds.first()?;
        let task = task_of(first, self.builds.get(&first)?);
        let row = self.agents.get(&agent)?;
        let all = self.builds_of(task).count() == builds.len();
        let all = all && self.builds_of(task).all(|(id, _)| builds.contains(&id));
        let allowed = all
            && self.task_state(task) == BuildState::Ready
            && self.fits(task, row)
            && self.has_room(row)
            && self.may_have(task, row, false);
        allowed.then_some(task)
    }

    fn start(&mut self, id: AttemptId, agent: AgentId, task: Task) {
        self.attempts.insert(
            id,
            Attempt {
                task,
                agent,
                expired: false,
                uploading: false,
            },
        );
        let agent = self.agents.get_mut(&agent);
        if let Some(wait) = agent.and_then(|agent| agent.wait.as_mut()) {
            wait.assign.insert(id);
            wait.answer = true;
        }
    }

    /// Nothing that was to be preferred was left.
    fn check_best(&self, task: Task, place: Place, agent: AgentId) -> Result<(), Mismatch> {
        let Some(row) = self.agents.get(&agent) else {
            return Ok(());
        };
        for other in self.tasks.keys().copied() {
            let better = self.task_state(other) == BuildState::Ready
                && self.fits(other, row)
                && self.may_have(other, row, true)
                && self.place(other) < place;
            hold("the best is given", !better, || {
                format!("{agent} got {task:?}, and {other:?} was left")
            })?;
        }
        Ok(())
    }

    /// The step is over: answers exchanges that have something to say, and forgets what nobody needs.
    pub(in crate::reference) fn finish(&mut self) -> Result<(), Mismatch> {
        hold(
            "an assignment is allowed",
            self.told.started.is_empty(),
            || format!("{:?}", self.told.started),
        )?;
        let outputs = self.all_outputs();
        let used: Vec<_> = outputs.into_iter().filter(|it| self.is_used(*it)).collect();
        self.lost.retain(|output, _| used.contains(output));
        self.check_idle()?;
        let now = self.now;
        let ids: Vec<_> = self.agents.keys().copied().collect();
        for id in ids {
            let agent = self.agents.get_mut(&id);
            let over = agent.and_then(|it| it.wait.take_if(|it| it.answer || it.until <= now));
            if let Some(wait) = over {
                let (assign, drop) = (wait.assign, wait.drop);
                self.answer(wait.ticket, Answer::Exchange { assign, drop });
            }
        }
        Ok(())
    }

    pub(in crate::reference) fn knows(&self, id: BuildId) -> bool {
        self.builds.contains_key(&id) || self.finished.contains_key(&id)
    }

    /// An implicit build was made and has ended without making a difference.
    pub(in crate::reference) fn learn(&mut self, finished: &FinishedBuild) {
        let build = Build {
            spec: finished.build.spec.clone(),
            implicit: true,
            rebuild: finished.build.rebuild,
            submitted_at: finished.build.submitted_at,
        };
        let end = End {
            build,
            state: finished.state,
            causes: BTreeMap::new(),
            outputs: Vec::new(),
        };
        self.finished.insert(finished.build.spec.id, end);
    }

    /// An implicit build has ended otherwise, and those that needed it may have heard of that.
    pub(in crate::reference) fn ended_otherwise(
        &mut self,
        id: BuildId,
        state: BuildState,
        roots: BTreeSet<Digest>,
    ) {
        let Some(end) = self.finished.get_mut(&id) else {
            return;
        };
        end.state = state;
        let derivation = end.build.spec.derivation;
        if state != BuildState::FailedDependency {
            return;
        }
        let mut lost = Lost::by(derivation, LostReason::FailedDependency);
        lost.roots = roots;
        let outputs: BTreeSet<_> = self.outputs(derivation).collect();
        for other in self.step.ended.clone() {
            let Some(end) = self.finished.get_mut(&other) else {
                continue;
            };
            if end.state != BuildState::FailedDependency {
                continue;
            }
            for cause in end.causes.values_mut() {
                if cause.reasons.contains(&LostReason::FailedDependency) {
                    cause.roots.extend(&lost.roots);
                }
            }
            let record = self.records.get(&end.build.spec.derivation);
            let inputs = record.iter().flat_map(|record| &record.inputs);
            for input in inputs.filter(|input| outputs.contains(&input.output)) {
                end.causes.entry(input.output).or_default().or(&lost);
            }
        }
    }

    /// No agent that waits and has room stands beside a ready build that it could have.
    fn check_idle(&self) -> Result<(), Mismatch> {
        for agent in self.agents.values() {
            // Who has been answered asks again.
            let waits = agent.wait.as_ref();
            let waits = waits.is_some_and(|wait| !wait.answer && wait.until > self.now);
            if !waits || !self.has_room(agent) {
                continue;
            }
            for task in self.tasks.keys().copied() {
                let idle = self.task_state(task) == BuildState::Ready
                    && self.fits(task, agent)
                    && self.may_have(task, agent, true);
                hold("no agent waits beside what it could have", !idle, || {
                    format!("{} beside {task:?}", agent.record.id)
                })?;
            }
        }
        Ok(())
    }
}
