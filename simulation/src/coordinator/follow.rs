//! The hook: it hears of every fact, reopens builds, and asks for some of its own.

use std::collections::BTreeSet;

use grange_coordinator_core::Input;
use grange_model::{
    BuildId, BuildSpec, Cause, Digest, Fact, FinishedBuild, HookRecord, NumberedFact, SetupProblem,
};

use super::run::Purpose;
use crate::event::{Event, Instance};
use crate::farm::Farm;
use crate::invariants::{Asked, follow_up};
use crate::scenario::{build_id, spec};
use crate::violation::Violation;

/// Under which name its cursor is kept.
pub(crate) const HOOK: &str = "simulated";
/// How many facts it is given before others have their turn.
const PAGE: usize = 50;
/// How long a cursor that only moved on waits for more facts before it is written.
const LINGER: u64 = 1_000_000;

impl Farm {
    pub(crate) fn follow_soon(&mut self, instance: Instance) {
        self.follow_in(instance, 1_000);
    }

    fn follow_in(&mut self, instance: Instance, microseconds: u64) {
        let at = self.now.plus(microseconds);
        if let Some(run) = self.run(instance)
            && !run.follows
            && !run.hook_busy
        {
            run.follows = true;
            self.agenda.put(at, Event::Follow(instance));
        }
    }

    pub(crate) fn follow(&mut self, instance: Instance) -> Result<(), Violation> {
        let newest = self.store.last_fact();
        let failing = self.coordinators.hook_fails_until > self.now;
        let Some(run) = self.run(instance) else {
            return Ok(());
        };
        run.follows = false;
        if run.hook_busy {
            return Ok(());
        }
        let Some(record) = run.hook.clone() else {
            // It is new, and hears of what happens from now on, which must not be lost to it.
            let record = HookRecord {
                name: HOOK.to_owned(),
                cursor: newest,
                dead_letters: Vec::new(),
            };
            return self.ask_for_hook(instance, record, Vec::new(), Vec::new());
        };
        if failing {
            self.follow_in(instance, 300_000);
            return Ok(());
        }
        let durable = run.hook_durable;
        let mut record = record;
        for _ in 0..PAGE {
            let Some(fact) = self.store.next_fact(record.cursor).cloned() else {
                break;
            };
            record.cursor = fact.number;
            let (builds, reopen) = self.deliver(&fact);
            if !builds.is_empty() || !reopen.is_empty() {
                return self.ask_for_hook(instance, record, builds, reopen);
            }
        }
        let more = record.cursor < newest;
        if !more && record.cursor != durable && self.coordinators.dice.one_in(3) {
            return self.ask_for_hook(instance, record, Vec::new(), Vec::new());
        }
        let idle = record.cursor == durable;
        if let Some(run) = self.run(instance) {
            run.hook = Some(record);
        }
        if more {
            self.follow_soon(instance);
        } else if !idle {
            self.follow_in(instance, LINGER);
        }
        Ok(())
    }

    /// What the hook asks for because of a fact.
    fn deliver(&self, fact: &NumberedFact) -> (Vec<BuildSpec>, Vec<FinishedBuild>) {
        match &fact.fact {
            Fact::Available { output } => (Vec::new(), self.store.lacking(*output)),
            Fact::SetupFailed {
                derivation,
                failure,
                ..
            } => (
                self.missing_inputs(fact, *derivation, &failure.problem),
                Vec::new(),
            ),
            _ => (self.follow_up(fact).into_iter().collect(), Vec::new()),
        }
    }

    /// Builds of what an agent missed, whoever asked for it without its inputs.
    fn missing_inputs(
        &self,
        fact: &NumberedFact,
        derivation: Digest,
        problem: &SetupProblem,
    ) -> Vec<BuildSpec> {
        let SetupProblem::MissingInputs(missing) = problem else {
            return Vec::new();
        };
        let record = self.store.derivation(derivation);
        let inputs = record.into_iter().flat_map(|record| &record.inputs);
        let gone = |output| missing.contains(&output) && !self.store.has_item(output);
        let makers: BTreeSet<_> = inputs
            .filter(|input| gone(input.output))
            .map(|input| input.derivation)
            .collect();
        let makers = (0..).zip(makers);
        makers
            .map(|(at, maker)| caused(build_id(4, fact.number.0 << 16 | at), maker))
            .collect()
    }

    fn follow_up(&self, fact: &NumberedFact) -> Option<BuildSpec> {
        let graph = &self.scenario.graph;
        let chosen = fact.number.0 % graph.len().max(1) as u64;
        let derivation = usize::try_from(chosen).ok().and_then(|at| graph.get(at))?;
        Some(caused(follow_up(fact)?, derivation.item.digest))
    }

    fn ask_for_hook(
        &mut self,
        instance: Instance,
        record: HookRecord,
        builds: Vec<BuildSpec>,
        reopen: Vec<FinishedBuild>,
    ) -> Result<(), Violation> {
        if let Some(run) = self.run(instance) {
            run.hook_busy = true;
            run.hook = Some(record.clone());
        }
        self.request(instance, Purpose::Hook, Asked::Other, |ticket| {
            Input::Hook {
                ticket,
                record,
                builds,
                reopen,
            }
        })
    }

    /// What it asked for is durable, and so is its cursor.
    pub(crate) fn hook_done(&mut self, instance: Instance) {
        if let Some(run) = self.run(instance) {
            run.hook_busy = false;
            if let Some(hook) = &run.hook {
                run.hook_durable = hook.cursor;
            }
        }
        self.follow_soon(instance);
    }

    /// Whether it has heard of everything.
    pub(crate) fn hook_is_done(&self) -> bool {
        self.coordinators.front().is_some_and(|run| {
            let durable = run.hook.as_ref().map(|hook| hook.cursor);
            !run.hook_busy
                && durable == Some(self.store.last_fact())
                && run.hook_durable == self.store.last_fact()
        })
    }
}

/// What the hook asks for.
fn caused(id: BuildId, derivation: Digest) -> BuildSpec {
    BuildSpec {
        // It takes the priority of what needs it, if anything does.
        priority: i32::MIN,
        cause: Some(Cause {
            hook: HOOK.to_owned(),
            depth: 1,
        }),
        ..spec(id, derivation)
    }
}
