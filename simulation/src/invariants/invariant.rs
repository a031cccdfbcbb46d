//! What an invariant looks at, and when.

use std::fmt;

use grange_coordinator_core::{Core, Reply};
use grange_model::{AttemptId, Batch, BuildId, BuildSpec, Seq, Term};

use super::{
    acknowledged, core_agrees, ends, hooks, nothing_lost, one_agent, one_result, one_set, order,
    priority, sealed,
};
use crate::disk::Disk;
use crate::scenario::Scenario;
use crate::store::Store;
use crate::time::Moment;
use crate::violation::Violation;

/// All that is durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    pub(crate) store: &'a Store,
    pub(crate) disk: &'a Disk,
    pub(crate) scenario: &'a Scenario,
}

pub(crate) fn look<'a>(store: &'a Store, disk: &'a Disk, scenario: &'a Scenario) -> Look<'a> {
    Look {
        store,
        disk,
        scenario,
    }
}

/// A commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit<'a> {
    pub(crate) term: Term,
    pub(crate) seq: Seq,
    pub(crate) batch: &'a Batch,
}

/// What a reply answers.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Submit(Vec<BuildSpec>),
    Cancel(BuildId),
    Report(AttemptId),
    Other,
}

/// What must hold. Each method sees one step and takes time in proportion to that step, `full`
/// excepted. The error says what was seen.
pub(crate) trait Invariant: fmt::Debug {
    fn name(&self) -> &'static str;

    /// A commit is about to be durable.
    fn before(&mut self, _look: Look<'_>, _commit: Commit<'_>) -> Result<(), String> {
        Ok(())
    }

    /// It is.
    fn after(&mut self, _look: Look<'_>, _commit: Commit<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Somebody is told something.
    fn replied(&mut self, _look: Look<'_>, _asked: &Asked, _reply: &Reply) -> Result<(), String> {
        Ok(())
    }

    /// Everything that is there. `settled`: all that the core has decided is durable.
    fn full(&mut self, _look: Look<'_>, _core: &Core, _settled: bool) -> Result<(), String> {
        Ok(())
    }
}

/// All invariants.
#[derive(Debug)]
pub(crate) struct Audit(Vec<Box<dyn Invariant>>);

impl Audit {
    pub(crate) fn new() -> Self {
        Self(vec![
            Box::new(acknowledged::Acknowledged::default()),
            Box::new(nothing_lost::NothingLost::default()),
            Box::new(one_agent::OneAgent::default()),
            Box::new(one_result::OneResult::default()),
            Box::new(one_set::OneSet::default()),
            Box::new(sealed::Sealed),
            Box::new(ends::Ends),
            Box::new(hooks::Hooks),
            Box::new(order::Order::default()),
            Box::new(priority::Priority),
            Box::new(core_agrees::CoreAgrees),
        ])
    }

    fn all(
        &mut self,
        at: Moment,
        mut check: impl FnMut(&mut dyn Invariant) -> Result<(), String>,
    ) -> Result<(), Violation> {
        for invariant in &mut self.0 {
            check(&mut **invariant).map_err(|detail| Violation {
                invariant: invariant.name(),
                at,
                detail,
            })?;
        }
        Ok(())
    }

    pub(crate) fn before(
        &mut self,
        at: Moment,
        look: Look<'_>,
        commit: Commit<'_>,
    ) -> Result<(), Violation> {
        self.all(at, |invariant| invariant.before(look, commit))
    }

    pub(crate) fn after(
        &mut self,
        at: Moment,
        look: Look<'_>,
        commit: Commit<'_>,
    ) -> Result<(), Violation> {
        self.all(at, |invariant| invariant.after(look, commit))
    }

    pub(crate) fn replied(
        &mut self,
        at: Moment,
        look: Look<'_>,
        asked: &Asked,
        reply: &Reply,
    ) -> Result<(), Violation> {
        self.all(at, |invariant| invariant.replied(look, asked, reply))
    }

    pub(crate) fn full(
        &mut self,
        at: Moment,
        look: Look<'_>,
        core: &Core,
        settled: bool,
    ) -> Result<(), Violation> {
        self.all(at, |invariant| invariant.full(look, core, settled))
    }
}

/// The error, unless it holds.
pub(super) fn hold(holds: bool, detail: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(detail()) }
}
