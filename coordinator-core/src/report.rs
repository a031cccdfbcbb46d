//! What attempts came to.

use std::sync::Arc;

use grange_model::{
    AgentId, AttemptId, AttemptOutcome, AttemptSummary, BuildState, BuiltOutput, Fact, FailureKind,
    ItemRecord, Key, LostReason, Record, SetupFailure, SetupProblem,
};
use smallvec::SmallVec;

use crate::end::Verdict;
use crate::io::{Denied, DeniedWhy, Reply, Report, Ticket, TimerReason};
use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::{Agent, Attempt, Avoided, Derivation, Presence, Task, TaskState};

/// How many attempts without a result a task remembers.
const MAX_PAST: usize = 100;

impl Core {
    pub(crate) fn report(
        &mut self,
        ticket: Ticket,
        agent: AgentId,
        attempt: AttemptId,
        report: Report,
    ) {
        let reply = match self.find_attempt(agent, attempt) {
            Err(denied) => Reply::Denied(denied),
            Ok(ix) => match self.take_report(ix, report) {
                Ok(()) => Reply::Done,
                Err(denied) => Reply::Denied(denied),
            },
        };
        self.ledger.reply(ticket, reply);
    }

    /// The attempt, if it may still decide something and is this agent's.
    ///
    /// Counter-example: agent A's lease runs out, B is given the build and wins, the attempt's row
    /// is used for another build; A comes back and reports a success under the old identifier.
    pub(crate) fn find_attempt(
        &self,
        agent: AgentId,
        id: AttemptId,
    ) -> Result<Ix<Attempt>, Denied> {
        let ix = Ix::new(id.slot);
        let found = self.attempts.get(ix);
        #[cfg(grange_bugs)]
        let found = found.filter(|it| it.record.id == id || self.has_bug(crate::Bug::LateReport));
        #[cfg(not(grange_bugs))]
        let found = found.filter(|attempt| attempt.record.id == id);
        match found {
            Some(attempt) if attempt.record.agent == agent => Ok(ix),
            Some(_) => Err(Denied {
                why: DeniedWhy::NotFound,
                message: format!("attempt {id} is another agent's"),
            }),
            None => Err(Denied {
                why: DeniedWhy::Conflict,
                message: format!(
                    "attempt {id} is void: its build has ended or was given to another attempt"
                ),
            }),
        }
    }

    fn take_report(&mut self, ix: Ix<Attempt>, report: Report) -> Result<(), Denied> {
        let task = self.attempts[ix].task;
        match report {
            Report::Succeeded {
                outputs,
                log,
                usage,
            } => {
                let derivation = &self.derivations[self.tasks[task].derivation];
                let mut named = outputs.iter().zip(&derivation.outputs).enumerate();
                let all = outputs.len() == derivation.outputs.len();
                if !all
                    || !named.all(|(at, (output, node))| {
                        output.item.digest == self.outputs[*node].digest
                            && derivation.calls(at, &output.item)
                    })
                {
                    return Err(Denied {
                        why: DeniedWhy::Wrong,
                        message: "the outputs are not those of the derivation".to_owned(),
                    });
                }
                let mut summary = self.summary(ix, AttemptOutcome::Succeeded);
                summary.log = log;
                summary.usage = usage;
                self.learn(ix, &summary);
                self.succeeded(ix, outputs, summary);
            }
            Report::Failed {
                kind,
                message,
                log,
                usage,
            } => {
                let outcome = AttemptOutcome::Failed {
                    kind: kind.clone(),
                    message: message.clone(),
                };
                let mut summary = self.summary(ix, outcome);
                summary.usage = usage;
                if kind == FailureKind::OutOfMemory {
                    self.learn_killed(ix, usage);
                }
                if kind == FailureKind::OutOfMemory
                    && let Some(memory) = self.more_memory(ix, usage)
                {
                    self.try_with(ix, memory, summary);
                } else {
                    summary.log = log;
                    self.failed(ix, kind, message, summary);
                }
            }
            Report::SetupFailed { problem, message } => self.setup_failed(ix, problem, message),
        }
        Ok(())
    }

    fn succeeded(&mut self, ix: Ix<Attempt>, items: Vec<ItemRecord>, summary: AttemptSummary) {
        let Attempt { task, agent, .. } = self.attempts[ix];
        let derivation = self.tasks[task].derivation;
        let nodes = self.derivations[derivation].outputs.clone();
        let kind = Arc::clone(&self.derivations[derivation].kind);
        let mut outputs = Vec::new();
        // Outputs of one attempt become available by one step, so that the sets of two attempts are
        // never mixed. What is available by another way, such as an upload, stays what it is; but what lies here goes
        // before what others have.
        for ((node, name), item) in nodes.iter().zip(&kind.outputs).zip(items) {
            let output = item.item.digest;
            self.has_made(agent, *node, item.nar_size);
            let canonical = self.outputs[*node].presence != Presence::Available;
            #[cfg(grange_bugs)]
            let canonical =
                canonical || (self.has_bug(crate::Bug::MixedOutputs) && !outputs.is_empty());
            outputs.push(BuiltOutput {
                name: name.clone(),
                item: item.item.clone(),
                nar_hash: item.nar_hash,
                nar_size: item.nar_size,
                canonical,
            });
            if canonical {
                let presence = Presence::Available;
                self.recent.output(self.ledger.upcoming(), output, presence);
                self.ledger.put(Record::Item(item));
                self.ledger.fact(Fact::Available { output });
                self.output_is_available(*node, presence);
            }
        }
        // What the derivation has in common with others is forgotten with the last of them.
        drop(kind);
        let digest = self.derivations[derivation].item.digest;
        self.recent.failure(self.ledger.upcoming(), digest, None);
        self.ledger.remove(Key::Failure(digest));
        let verdict = Verdict {
            attempt: Some((ix, summary)),
            outputs,
            ..Verdict::default()
        };
        let makers = nodes.iter().flat_map(|node| self.outputs[*node].makers());
        let mut makers: SmallVec<[Ix<Derivation>; 4]> = makers.collect();
        makers.sort_unstable();
        makers.dedup();
        self.end_task(task, BuildState::Succeeded, verdict);
        for maker in makers {
            self.end_superfluous(maker);
        }
    }

    /// Ends builds whose outputs another derivation, or another attempt, has brought.
    pub(crate) fn end_superfluous(&mut self, maker: Ix<Derivation>) {
        let Some(derivation) = self.derivations.get(maker) else {
            return;
        };
        let available = |output: &Ix<_>| self.outputs[*output].presence.is_available();
        if !derivation.outputs.iter().all(available) {
            return;
        }
        for task in derivation.tasks.clone() {
            if !self.tasks[task].again {
                let reason = "its outputs have become available".to_owned();
                self.end_task(
                    task,
                    BuildState::Succeeded,
                    Verdict {
                        reason,
                        ..Verdict::default()
                    },
                );
            }
        }
    }

    fn failed(
        &mut self,
        ix: Ix<Attempt>,
        kind: FailureKind,
        message: String,
        summary: AttemptSummary,
    ) {
        let verdict = Verdict {
            attempt: Some((ix, summary)),
            failure: Some((LostReason::Failed, Some(kind))),
            reason: message,
            ..Verdict::default()
        };
        self.end_task(self.attempts[ix].task, BuildState::Failed, verdict);
    }

    pub(crate) fn setup_failed(&mut self, ix: Ix<Attempt>, problem: SetupProblem, message: String) {
        let attempt = &self.attempts[ix];
        let (task, agent) = (attempt.task, attempt.agent);
        let failure = SetupFailure {
            agent: attempt.record.agent,
            attempt: attempt.record.id,
            problem,
            message,
            at: self.now,
        };
        let summary = self.summary(ix, AttemptOutcome::SetupFailed(failure.clone()));
        let missing = matches!(failure.problem, SetupProblem::MissingInputs(_));
        self.add_past(task, summary);
        self.drop_attempt(ix, false);
        for build in self.tasks[task].builds.clone() {
            let failures = &mut self.builds[build].setup_failures;
            let failures = &mut failures.get_or_insert_default().0;
            failures.retain(|other| other.agent != failure.agent);
            failures.push(failure.clone());
            self.ledger.put(Record::Build(self.record(build)));
        }
        let derivation = self.derivations[self.tasks[task].derivation].item.digest;
        if let Some(first) = self.tasks[task].builds.first() {
            let build = self.id_of(*first);
            self.ledger.fact(Fact::SetupFailed {
                build,
                derivation,
                failure,
            });
        }
        self.avoid(task, agent);
        if missing {
            self.recheck(self.tasks[task].derivation);
        }
        self.settle_task(task);
    }

    pub(crate) fn add_past(&mut self, task: Ix<Task>, summary: AttemptSummary) {
        let past = &mut self.tasks[task].tries_mut().past;
        past.push(summary);
        // Enough to see what is wrong; the builds keep the last failure of each agent.
        if past.len() > MAX_PAST {
            past.remove(0);
        }
    }

    /// Gives the agent no attempt of this task for a while.
    fn avoid(&mut self, task: Ix<Task>, agent: Ix<Agent>) {
        let generation = self.agents.generation(agent);
        let avoided = &mut self.tasks[task].tries_mut().avoided;
        let same = |entry: &Avoided| entry.agent == agent && entry.generation == generation;
        let before = avoided.iter().find(|entry| same(entry));
        let failures = before.map_or(0, |entry| entry.failures);
        avoided.retain(|entry| entry.agent != agent);
        let backoff = self
            .config
            .setup_backoff
            .saturating_mul(1 << failures.min(6));
        let until = self.now.after(backoff);
        avoided.push(Avoided {
            agent,
            generation,
            failures: failures.saturating_add(1),
            until,
        });
        self.timers.insert((until, TimerReason::Backoff, task.0));
    }

    /// Where a task belongs whose last attempt may be gone.
    pub(crate) fn settle_task(&mut self, ix: Ix<Task>) {
        if self.tasks[ix]
            .attempts()
            .iter()
            .any(|attempt| !self.attempts[*attempt].expired)
        {
            return;
        }
        self.set_state(ix, TaskState::Blocked);
        self.evaluate(ix);
        self.back_off_if_avoided(ix);
    }

    /// Takes a ready task out of the queues if every agent that could take it had a setup failure.
    pub(crate) fn back_off_if_avoided(&mut self, ix: Ix<Task>) {
        let Some(task) = self.tasks.get(ix) else {
            return;
        };
        if task.state() != TaskState::Ready || task.avoided().is_empty() {
            return;
        }
        let classes = &self.classes.table;
        let could = |agent: &Agent| {
            agent.is_present()
                && !agent.record.paused
                && task.classes.iter().any(|class| classes[*class].fits(agent))
        };
        let may = |(agent, row): (Ix<Agent>, &Agent)| could(row) && !self.is_avoided(ix, agent);
        if self.agents.iter().any(may) {
            return;
        }
        let until = task.avoided().iter().map(|entry| entry.until);
        let Some(until) = until.filter(|until| *until > self.now).min() else {
            return;
        };
        self.set_state(ix, TaskState::BackedOff(until));
    }

    /// An agent that had a setup failure may get the task again.
    pub(crate) fn backoff_ended(&mut self, row: u32) {
        let ix = Ix::new(row);
        let Some(task) = self.tasks.get(ix) else {
            return;
        };
        match task.state() {
            TaskState::BackedOff(until) if until <= self.now => {
                self.set_state(ix, TaskState::Blocked);
                self.evaluate(ix);
            }
            // Others could have taken it, and had no room; the agent may be waiting.
            TaskState::Ready => self.classes.fresh.extend(&task.classes),
            _ => {}
        }
    }
}
