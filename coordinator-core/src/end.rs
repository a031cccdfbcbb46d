//! How builds end, one by one or together.

use std::mem;

use grange_model::{
    AttemptOutcome, AttemptSummary, BuildId, BuildState, BuiltOutput, Fact, FailureKind,
    FailureRecord, FinishedBuild, Key, LostCause, LostReason, Record, Usage,
};

use crate::io::{AttemptPhase, Reply, Ticket};
use crate::machine::Core;
use crate::share::Lane;
use crate::slab::Ix;
use crate::tables::{Attempt, Build, Derivation, Lost, Status, Task, TaskState, Tries};

/// How a task ends.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) attempt: Option<(Ix<Attempt>, AttemptSummary)>,
    pub(crate) outputs: Vec<BuiltOutput>,
    pub(crate) causes: Vec<LostCause>,
    pub(crate) failure: Option<(LostReason, Option<FailureKind>)>,
    pub(crate) reason: String,
}

/// What the end of a build counts for in a slice of work, beside its inputs.
const END_EDGES: usize = 16;

/// In words, why a build ended as failed-dependency.
pub(crate) fn lost_reason(causes: &[LostCause]) -> String {
    let Some(cause) = causes.first() else {
        return "an input is lost".to_owned();
    };
    let word = match cause.reason {
        LostReason::Failed => "failed",
        LostReason::FailedDependency => "needs what failed",
        LostReason::Canceled => "was canceled",
    };
    let (name, root) = (&cause.derivation.name, &cause.root_derivation.name);
    format!("its input {name} {word}; root: {root}")
}

impl Core {
    /// Where a task without attempts belongs: ended, blocked or ready.
    pub(crate) fn evaluate(&mut self, ix: Ix<Task>) {
        let derivation = self.tasks[ix].derivation;
        let inputs = *self.derivations.hot(derivation);
        if inputs.lost > 0 {
            let causes = self.lost_inputs(derivation);
            if causes.is_empty() {
                // Somebody tries to bring the input after all, and it will hear of that.
                self.set_state(ix, TaskState::Blocked);
            } else {
                self.end_for_lost_inputs(ix, causes);
            }
        } else if inputs.expected > 0 {
            self.set_state(ix, TaskState::Blocked);
        } else if !matches!(self.tasks[ix].state(), TaskState::BackedOff(_)) {
            self.set_state(ix, TaskState::Ready);
        }
    }

    fn lost_inputs(&mut self, ix: Ix<Derivation>) -> Vec<LostCause> {
        let inputs = &self.derivations[ix].inputs;
        self.edges += inputs.len();
        let nodes = inputs.iter().map(|input| &self.outputs[*input]);
        let lost = nodes.filter(|node| node.status() == Status::Lost);
        lost.filter_map(|node| Some(node.lost()?.cause(node.digest)))
            .collect()
    }

    fn end_for_lost_inputs(&mut self, ix: Ix<Task>, causes: Vec<LostCause>) {
        let reason = lost_reason(&causes);
        let verdict = Verdict {
            causes,
            reason,
            ..Verdict::default()
        };
        self.end_task(ix, BuildState::FailedDependency, verdict);
    }

    /// All builds of a task end.
    pub(crate) fn end_task(&mut self, ix: Ix<Task>, state: BuildState, mut verdict: Verdict) {
        let mut past = self.end_attempts(ix, verdict.attempt.take());
        self.unlist(ix);
        self.leave_line(ix);
        *self.counter(ix) -= self.tasks[ix].builds.len() as u64;
        let Some(task) = self.tasks.remove(ix) else {
            return;
        };
        let derivation = task.derivation;
        let row = &mut self.derivations[derivation];
        row.tasks.retain(|other| *other != ix);
        let last = row.tasks.is_empty();
        let first = task.builds.first().map(|build| self.id_of(*build));
        for (behind, build) in (0..task.builds.len()).rev().zip(task.builds) {
            // What is said of all of them is copied for all but the last.
            let (attempts, outputs) = if behind > 0 {
                (past.clone(), verdict.outputs.clone())
            } else {
                (mem::take(&mut past), mem::take(&mut verdict.outputs))
            };
            if let Some(build) =
                self.finish_build(build, derivation, state, attempts, outputs, &verdict)
            {
                self.classes.leave(build.class);
            }
        }
        let lost = first.and_then(|first| self.remember(derivation, last, first, &verdict));
        if last {
            self.drop_derivation(derivation, lost.as_ref());
        } else {
            self.priority_changed(derivation);
        }
    }

    /// All attempts of a task that ends are over. Returns what came of them and of those before. `decided`: the one that ends the
    /// task.
    fn end_attempts(
        &mut self,
        ix: Ix<Task>,
        mut decided: Option<(Ix<Attempt>, AttemptSummary)>,
    ) -> Vec<AttemptSummary> {
        let task = &mut self.tasks[ix];
        let Some(tries) = task.tries.take() else {
            return Vec::new();
        };
        let Tries {
            attempts, mut past, ..
        } = *tries;
        past.reserve_exact(attempts.len());
        for attempt in attempts {
            let won = decided.take_if(|(winner, _)| *winner == attempt);
            let unasked = won.is_none();
            past.push(won.map_or_else(
                || {
                    let expired = self.attempts[attempt].expired;
                    let outcome = if expired {
                        AttemptOutcome::Lost
                    } else {
                        AttemptOutcome::Dropped
                    };
                    self.summary(attempt, outcome)
                },
                |(_, summary)| summary,
            ));
            self.drop_attempt(attempt, unasked);
        }
        past
    }

    /// Keeps why a derivation's outputs will not come, and returns it. While others go on trying,
    /// only a failure is kept.
    fn remember(
        &mut self,
        ix: Ix<Derivation>,
        last: bool,
        build: BuildId,
        verdict: &Verdict,
    ) -> Option<Lost> {
        let available = |output: &Ix<_>| self.outputs[*output].presence.is_available();
        let derivation = &mut self.derivations[ix];
        if derivation.outputs.iter().all(available) {
            return None;
        }
        let odd = derivation.odd.as_ref();
        let earlier = odd.and_then(|odd| odd.failed.clone());
        let item = derivation.item.clone();
        let (reason, kind) = match (&verdict.failure, verdict.causes.first()) {
            (Some((LostReason::Failed, kind)), _) => (LostReason::Failed, kind.clone()),
            // It was tried, and that says more than that somebody gave up.
            _ if earlier.is_some() => return earlier,
            (Some((reason, _)), _) => (*reason, None),
            (None, Some(cause)) => {
                return Some(Lost {
                    derivation: item,
                    reason: LostReason::FailedDependency,
                    build,
                    root: cause.root,
                    root_derivation: cause.root_derivation.clone(),
                });
            }
            (None, None) => return None,
        };
        let lost = Lost {
            derivation: item.clone(),
            reason,
            build,
            root: build,
            root_derivation: item.clone(),
        };
        if reason == LostReason::Failed {
            derivation.odd.get_or_insert_default().failed = Some(lost.clone());
        } else if !last {
            return None;
        }
        let memory = match reason {
            LostReason::Canceled => self.config.remember_cancels,
            _ => self.config.remember_failures,
        };
        let failure = FailureRecord {
            derivation: item.clone(),
            build,
            reason,
            kind,
            message: verdict.reason.clone(),
            at: self.now,
            expires_at: self.now.after(memory),
        };
        let seq = self.ledger.upcoming();
        self.recent.failure(seq, item.digest, Some(failure.clone()));
        self.ledger.put(Record::Failure(failure));
        Some(lost)
    }

    /// One build of a task ends, and the task goes on or not.
    fn end_one(&mut self, build: Ix<Build>, state: BuildState, verdict: Verdict) {
        let task = self.builds[build].task;
        if self.tasks[task].builds.len() > 1 {
            self.end_build(build, state, &verdict);
        } else {
            self.end_task(task, state, verdict);
        }
    }

    /// One build ends; its task goes on, for it has others.
    fn end_build(&mut self, ix: Ix<Build>, state: BuildState, verdict: &Verdict) {
        let Some(task) = self.builds.get(ix).map(|build| build.task) else {
            return;
        };
        *self.counter(task) -= 1;
        let row = &mut self.tasks[task];
        row.builds.retain(|other| *other != ix);
        let derivation = row.derivation;
        let (attempts, outputs) = (row.past().to_vec(), verdict.outputs.clone());
        if let Some(build) = self.finish_build(ix, derivation, state, attempts, outputs, verdict) {
            self.leave_class(task, build.class);
            if !build.implicit {
                self.priority_changed(derivation);
            }
        }
    }

    /// A build that belongs to no task any more is written among those that have ended; its row is returned, as somebody has to tell
    /// its class and those that go by its priority.
    fn finish_build(
        &mut self,
        ix: Ix<Build>,
        derivation: Ix<Derivation>,
        state: BuildState,
        attempts: Vec<AttemptSummary>,
        outputs: Vec<BuiltOutput>,
        verdict: &Verdict,
    ) -> Option<Build> {
        let build = self.builds.remove(ix)?;
        self.edges += END_EDGES;
        let (id, row) = (build.id, &mut self.derivations[derivation]);
        if !build.implicit {
            row.own.remove(build.priority);
        }
        let digest = row.item.digest;
        let record = build.record(ix, &row.item);
        let system = row.kind.system.clone();
        self.names.builds.remove(&id);
        self.ledger.remove(Key::Build(ix.0));
        self.ledger.fact(Fact::Ended {
            build: id,
            derivation: digest,
            state,
        });
        let seq = self.ledger.upcoming();
        self.recent.build_ended(seq, id, digest, state);
        self.ledger.put(Record::Finished(FinishedBuild {
            system,
            state,
            ended_at: self.now,
            attempts,
            outputs,
            causes: verdict.causes.clone(),
            reason: verdict.reason.clone(),
            build: record,
        }));
        self.asks.leave(&build.ask);
        Some(build)
    }

    /// A build's class loses it; the task's own list of classes follows.
    pub(crate) fn leave_class(&mut self, task: Ix<Task>, class: Ix<crate::queue::Class>) {
        let others = &self.tasks[task].builds;
        if !others
            .iter()
            .any(|other| self.builds[*other].class == class)
        {
            self.unlist(task);
            self.tasks[task].classes.retain(|other| *other != class);
            self.list(task);
        }
        self.classes.leave(class);
    }

    /// An attempt is over for the coordinator. `unasked`: its agent does not know yet.
    pub(crate) fn drop_attempt(&mut self, ix: Ix<Attempt>, unasked: bool) {
        let Some(attempt) = self.attempts.remove(ix) else {
            return;
        };
        self.ledger.remove(Key::Attempt(ix.0));
        if let Lane::Of(group) = attempt.lane {
            let began = attempt.record.assigned_at;
            self.groups.end(group, attempt.speed, began, self.now);
        }
        let agent = &mut self.agents[attempt.agent];
        agent.attempts.remove(&ix);
        if attempt.phase == AttemptPhase::Uploading {
            agent.uploading -= 1;
        } else {
            agent.vacate(&attempt.needs);
        }
        if let Some(waiting) = &mut agent.waiting {
            waiting.assign.retain(|assigned| *assigned != ix);
            if unasked {
                waiting.drop.push(attempt.record.id);
                self.to_answer.insert(attempt.agent);
            }
            self.roomy.insert(attempt.agent);
        }
        if let Some(task) = self.tasks.get_mut(attempt.task)
            && let Some(tries) = &mut task.tries
        {
            tries.attempts.retain(|other| *other != ix);
        }
    }

    pub(crate) fn summary(&self, ix: Ix<Attempt>, outcome: AttemptOutcome) -> AttemptSummary {
        let attempt = &self.attempts[ix];
        AttemptSummary {
            id: attempt.record.id,
            agent: attempt.record.agent,
            assigned_at: attempt.record.assigned_at,
            ended_at: self.now,
            outcome,
            log: None,
            usage: Usage::default(),
            choice: attempt.record.choice,
        }
    }

    pub(crate) fn cancel(&mut self, ticket: Ticket, builds: &[BuildId]) {
        let states = builds.iter().map(|id| self.cancel_one(*id)).collect();
        self.ledger.reply(ticket, Reply::Canceled(states));
    }

    fn cancel_one(&mut self, id: BuildId) -> Option<BuildState> {
        let Some(&build) = self.names.builds.get(&id) else {
            return self.recent.build(id).map(|(_, state)| state);
        };
        let verdict = Verdict {
            reason: "canceled".to_owned(),
            failure: Some((LostReason::Canceled, None)),
            ..Verdict::default()
        };
        self.end_one(build, BuildState::Canceled, verdict);
        Some(BuildState::Canceled)
    }

    /// Ends a derivation's implicit builds if nothing needs them.
    pub(crate) fn end_unwanted(&mut self, ix: Ix<Derivation>) {
        if self.users_of(ix) > 0 {
            return;
        }
        let verdict = || Verdict {
            reason: "nothing that needs it is left".to_owned(),
            ..Verdict::default()
        };
        for task in self.derivations[ix].tasks.clone() {
            let implicit = |build: &Ix<Build>| self.builds[*build].implicit;
            let builds = &self.tasks[task].builds;
            let unwanted: Vec<_> = builds
                .iter()
                .copied()
                .filter(|build| implicit(build))
                .collect();
            if unwanted.len() == builds.len() {
                self.end_task(task, BuildState::Canceled, verdict());
            } else {
                for build in unwanted {
                    self.end_build(build, BuildState::Canceled, &verdict());
                }
            }
        }
    }
}
