//! Builds end.

use std::collections::{BTreeMap, BTreeSet};

use grange_coordinator_core::{DeniedWhy, Report};
use grange_model::{
    AgentId, AttemptId, BuildId, BuildState, Digest, ItemRecord, LostReason, NarHash, SetupProblem,
};

use super::facts::task_of;
use super::state::{End, Lost, Model, Status, Task};
use crate::reference::mismatch::Mismatch;

/// How a task ends.
#[derive(Clone, Default)]
struct Verdict {
    winner: Option<AttemptId>,
    failure: Option<LostReason>,
    causes: BTreeMap<Digest, Lost>,
    outputs: Vec<(Digest, NarHash, bool)>,
}

impl Model {
    pub(super) fn report(
        &mut self,
        agent: AgentId,
        id: AttemptId,
        report: &Report,
    ) -> Result<Result<(), DeniedWhy>, Mismatch> {
        let Some(attempt) = self.attempts.get(&id) else {
            return Ok(Err(DeniedWhy::Conflict));
        };
        if attempt.agent != agent {
            return Ok(Err(DeniedWhy::NotFound));
        }
        let task = attempt.task;
        match report {
            Report::Succeeded { outputs, .. } => {
                let names = outputs.iter().map(|output| output.item.digest);
                if !names.eq(self.outputs(task.0)) {
                    return Ok(Err(DeniedWhy::Wrong));
                }
                self.succeeded(task, id, outputs);
            }
            Report::Failed { .. } => {
                let verdict = Verdict {
                    winner: Some(id),
                    failure: Some(LostReason::Failed),
                    ..Verdict::default()
                };
                self.end_task(task, BuildState::Failed, verdict);
            }
            Report::SetupFailed { problem, .. } => {
                self.drop_attempt(id, false);
                self.avoid(task, agent);
                // Another agent may get it before its inputs are looked at once more.
                self.settle()?;
                if matches!(problem, SetupProblem::MissingInputs(_)) && self.is_live(task.0) {
                    self.request(Vec::new(), Some(task.0))?;
                }
            }
        }
        Ok(Ok(()))
    }

    fn avoid(&mut self, task: Task, agent: AgentId) {
        let Some(trying) = self.tasks.get_mut(&task) else {
            return;
        };
        let failures = trying.avoided.get(&agent).map_or(0, |(times, _)| *times);
        let backoff = self.config.setup_backoff * (1 << failures.min(6));
        let until = self.now.after(backoff);
        trying.avoided.insert(agent, (failures + 1, until));
    }

    /// The first complete set of outputs is what everybody gets.
    fn succeeded(&mut self, task: Task, id: AttemptId, items: &[ItemRecord]) {
        let mut outputs = Vec::new();
        for item in items {
            let output = item.item.digest;
            let canonical = !self.here.contains_key(&output);
            outputs.push((output, item.nar_hash, canonical));
            if canonical {
                self.here.insert(output, item.nar_hash);
                self.step.arrived.insert(output);
                self.lost.remove(&output);
            }
        }
        self.failures.remove(&task.0);
        let verdict = Verdict {
            winner: Some(id),
            outputs,
            ..Verdict::default()
        };
        let makers = items.iter().flat_map(|item| self.makers(item.item.digest));
        let makers: BTreeSet<_> = makers.collect();
        self.end_task(task, BuildState::Succeeded, verdict);
        for maker in makers {
            self.end_superfluous(maker);
        }
    }

    /// Nobody has to make what is there, but those that want an attempt of their own.
    pub(super) fn end_superfluous(&mut self, derivation: Digest) {
        let there = self.outputs(derivation).all(|it| self.is_available(it));
        if there && self.is_shared(derivation) {
            let task = (derivation, None);
            self.end_task(task, BuildState::Succeeded, Verdict::default());
        }
    }

    /// A task without an attempt ends if an input will not come.
    pub(super) fn end_if_lost(&mut self, task: Task) -> bool {
        if self.is_running(task) {
            return false;
        }
        let causes = self.lost_inputs(task.0);
        if causes.is_empty() {
            return false;
        }
        let verdict = Verdict {
            causes,
            ..Verdict::default()
        };
        self.end_task(task, BuildState::FailedDependency, verdict);
        true
    }

    pub(super) fn lost_inputs(&self, derivation: Digest) -> BTreeMap<Digest, Lost> {
        let lost = self.inputs(derivation);
        let lost = lost.filter(|input| self.status(*input) == Status::Lost);
        lost.filter_map(|input| Some((input, self.lost.get(&input)?.clone())))
            .collect()
    }

    pub(super) fn cancel(&mut self, id: BuildId) -> Option<BuildState> {
        let task = task_of(id, self.builds.get(&id)?);
        if self.builds_of(task).count() > 1 {
            self.end_build(id, BuildState::Canceled, &Verdict::default());
        } else {
            let verdict = Verdict {
                failure: Some(LostReason::Canceled),
                ..Verdict::default()
            };
            self.end_task(task, BuildState::Canceled, verdict);
        }
        Some(BuildState::Canceled)
    }

    /// Ends implicit builds of what nobody needs; whether there were any.
    pub(super) fn end_unwanted(&mut self, derivation: Digest) -> bool {
        let mut users = self.outputs(derivation).flat_map(|it| self.users(it));
        if users.next().is_some() {
            return false;
        }
        drop(users);
        let tasks: Vec<_> = self.tasks_of(derivation).collect();
        let mut any = false;
        for task in tasks {
            let implicit = self.builds_of(task).filter(|(_, build)| build.implicit);
            let implicit: Vec<_> = implicit.map(|(id, _)| id).collect();
            any |= !implicit.is_empty();
            if implicit.len() == self.builds_of(task).count() {
                self.end_task(task, BuildState::Canceled, Verdict::default());
            } else {
                for id in implicit {
                    self.end_build(id, BuildState::Canceled, &Verdict::default());
                }
            }
        }
        any
    }

    fn end_build(&mut self, id: BuildId, state: BuildState, verdict: &Verdict) {
        let Some(build) = self.builds.remove(&id) else {
            return;
        };
        let end = End {
            build,
            state,
            causes: verdict.causes.clone(),
            outputs: verdict.outputs.clone(),
        };
        self.finished.insert(id, end);
        self.step.ended.insert(id);
    }

    fn end_task(&mut self, task: Task, state: BuildState, verdict: Verdict) {
        let attempts = self.attempts.iter().filter(|(_, it)| it.task == task);
        let attempts: Vec<_> = attempts.map(|(id, _)| *id).collect();
        for attempt in attempts {
            self.drop_attempt(attempt, verdict.winner != Some(attempt));
        }
        let builds: Vec<_> = self.builds_of(task).map(|(id, _)| id).collect();
        for build in builds {
            self.end_build(build, state, &verdict);
        }
        self.tasks.remove(&task);
        let derivation = task.0;
        let last = !self.is_live(derivation);
        let lost = self.remember(derivation, last, &verdict);
        if !last {
            return;
        }
        self.failed.remove(&derivation);
        self.complete.remove(&derivation);
        self.vague.remove(&derivation);
        let inputs: Vec<_> = self.inputs(derivation).collect();
        for input in inputs {
            // What is lost under one name of its maker only is forgotten with the last that knew it by that name.
            if !self.is_used(input) && !self.step.given_up.contains_key(&input) {
                self.lost.remove(&input);
            }
        }
        let outputs: Vec<_> = self.outputs(derivation).collect();
        for output in outputs {
            if let Some(lost) = &lost {
                let given_up = self.step.given_up.entry(output).or_default();
                given_up.or(lost);
            }
            if matches!(self.status(output), Status::Available | Status::Expected) {
                continue;
            }
            match self.step.given_up.get(&output).filter(|_| lost.is_some()) {
                Some(lost) => self.lost.insert(output, lost.clone()),
                None => self.lost.remove(&output),
            };
        }
    }

    /// Why the derivation's outputs will not come, if they will not. While others go on, only a failure is remembered.
    fn remember(&mut self, derivation: Digest, last: bool, verdict: &Verdict) -> Option<Lost> {
        if self.outputs(derivation).all(|it| self.is_available(it)) {
            return None;
        }
        let earlier = self.failed.get(&derivation).cloned();
        let reason = match verdict.failure {
            Some(LostReason::Failed) => LostReason::Failed,
            _ if earlier.is_some() => return earlier,
            Some(reason) => reason,
            None if verdict.causes.is_empty() => return None,
            None => {
                let mut lost = Lost::by(derivation, LostReason::FailedDependency);
                let roots = verdict.causes.values().flat_map(|cause| &cause.roots);
                lost.roots = roots.copied().collect();
                return Some(lost);
            }
        };
        let lost = Lost::by(derivation, reason);
        let memory = if reason == LostReason::Failed {
            self.failed.insert(derivation, lost.clone());
            self.config.remember_failures
        } else if last {
            self.config.remember_cancels
        } else {
            return None;
        };
        let until = self.now.after(memory);
        self.failures.insert(derivation, (reason, until));
        Some(lost)
    }
}
