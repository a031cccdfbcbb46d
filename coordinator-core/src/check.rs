//! What must hold between any two calls, recomputed from nothing.

use std::collections::{BTreeMap, BTreeSet};

use grange_model::Resources;

use crate::io::AttemptPhase;
use crate::machine::Core;
use crate::priority::Levels;
use crate::remaining::Standing;
use crate::slab::Ix;
use crate::tables::{Derivation, Output, Status, TaskState};
use crate::view::StateCounts;

/// Something that must hold does not: a defect of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct InvariantViolation {
    /// What must hold.
    pub rule: &'static str,
    /// Where it does not.
    pub detail: String,
}

fn hold(
    rule: &'static str,
    holds: bool,
    detail: impl FnOnce() -> String,
) -> Result<(), InvariantViolation> {
    if holds {
        Ok(())
    } else {
        Err(InvariantViolation {
            rule,
            detail: detail(),
        })
    }
}

impl Core {
    /// Recomputes what can be recomputed, and compares. Takes time in proportion to all that is
    /// unfinished. Counts are compared only when no work is put off.
    ///
    /// # Errors
    ///
    /// What does not hold.
    pub fn check_invariants(&self) -> Result<(), InvariantViolation> {
        self.check_tasks()?;
        self.check_attempts()?;
        let counted = self.history.is_counted();
        hold("what was learned is counted", counted, || {
            format!("{} entries", self.history.len())
        })?;
        self.check_graph()
    }

    fn check_tasks(&self) -> Result<(), InvariantViolation> {
        for (ix, task) in self.tasks.iter() {
            let name = || format!("task {ix:?}");
            hold("a task has a build", !task.builds.is_empty(), name)?;
            let derivation = self.derivations.get(task.derivation);
            let owned = derivation.is_some_and(|derivation| derivation.tasks.contains(&ix));
            hold("a task belongs to its derivation", owned, name)?;
            let stands = self
                .stand(ix)
                .is_some_and(|(line, stand)| self.backlog.has(line, stand));
            let runs = task.state() == TaskState::Running;
            hold(
                "what does not run is counted among what there is to do",
                stands != runs,
                name,
            )?;
            let queued = task.queued.is_some();
            hold(
                "just the ready are queued",
                queued == (task.state() == TaskState::Ready),
                || format!("task {ix:?} is {:?}, queued: {queued}", task.state()),
            )?;
            let under_way = task
                .attempts()
                .iter()
                .any(|attempt| !self.attempts[*attempt].expired);
            hold(
                "what runs has an attempt",
                under_way == (task.state() == TaskState::Running),
                || format!("task {ix:?} is {:?}", task.state()),
            )?;
            hold(
                "an attempt of one's own ends one build",
                !task.again || task.builds.len() == 1,
                name,
            )?;
            // Who looks for what names a blob reads items and finished builds, and need not ask here.
            hold(
                "an attempt with a log has ended its builds",
                task.past().iter().all(|past| past.log.is_none()),
                name,
            )?;
        }
        let lines = self.backlog.lines.iter();
        let tasks: u64 = lines.map(|(_, line)| line.all.tasks).sum();
        let waiting = self
            .tasks
            .iter()
            .filter(|(_, task)| task.state() != TaskState::Running);
        let counted = tasks == waiting.count() as u64;
        hold("nothing else is to do", counted, || format!("{tasks}"))?;
        for (ix, class) in self.classes.table.iter() {
            let listed = self.classes.ready.contains(&ix);
            hold(
                "a class with ready tasks is listed",
                listed != class.ready.is_empty(),
                || format!("class {ix:?}"),
            )?;
        }
        let mut classes = BTreeMap::new();
        for (_, build) in self.builds.iter() {
            *classes.entry(build.class).or_insert(0) += 1;
            let listed = self.tasks[build.task].classes.contains(&build.class);
            hold("a task is of its builds' classes", listed, || {
                format!("build {}", build.id)
            })?;
        }
        for (ix, class) in self.classes.table.iter() {
            let counted = classes.get(&ix) == Some(&class.builds);
            hold("a class counts its builds", counted, || {
                format!("class {ix:?}")
            })?;
        }
        let mut counts = StateCounts::default();
        for (_, task) in self.tasks.iter() {
            let builds = task.builds.len() as u64;
            match task.state() {
                TaskState::Blocked => counts.blocked += builds,
                TaskState::Ready | TaskState::BackedOff(_) => counts.ready += builds,
                TaskState::Running => counts.running += builds,
            }
        }
        hold("builds are counted", counts == self.counts, || {
            format!("{:?}, not {counts:?}", self.counts)
        })?;
        Ok(())
    }

    fn check_attempts(&self) -> Result<(), InvariantViolation> {
        for (ix, attempt) in self.attempts.iter() {
            let task = self.tasks.get(attempt.task);
            let known = task.is_some_and(|task| task.attempts().contains(&ix));
            hold("an attempt belongs to its task", known, || {
                format!("{:?}", attempt.record.id)
            })?;
            let agent = self.agents.get(attempt.agent);
            let held = agent.is_some_and(|agent| agent.attempts.contains(&ix));
            hold("an attempt is its agent's", held, || {
                format!("{:?}", attempt.record.id)
            })?;
        }
        for (_, agent) in self.agents.iter() {
            let mut used = Resources::new();
            let held = agent.attempts.iter().map(|ix| &self.attempts[*ix]);
            for attempt in held.filter(|it| it.phase != AttemptPhase::Uploading) {
                for (name, amount) in &attempt.needs {
                    *used.entry(name.clone()).or_default() += amount;
                }
            }
            used.retain(|_, amount| *amount > 0);
            hold("what is used up is counted", used == agent.used, || {
                format!("{}: {:?}, not {used:?}", agent.record.id, agent.used)
            })?;
        }
        let mut shared = BTreeSet::new();
        for (ix, task) in self.tasks.iter() {
            let alone = task.again || shared.insert(task.derivation);
            hold("builds of a derivation share attempts", alone, || {
                format!("task {ix:?}")
            })?;
        }
        Ok(())
    }

    fn check_graph(&self) -> Result<(), InvariantViolation> {
        if !self.work.is_empty() {
            return Ok(());
        }
        if self.builds.len() == 0 && self.requests.is_empty() {
            self.check_empty()?;
        }
        for (ix, derivation) in self.derivations.iter() {
            self.check_derivation(ix, derivation)?;
        }
        for (ix, output) in self.outputs.iter() {
            self.check_output(ix, output)?;
        }
        Ok(())
    }

    /// Memory is bounded by what is unfinished: without builds there is nothing.
    fn check_empty(&self) -> Result<(), InvariantViolation> {
        let rows = [
            ("derivations", self.derivations.len()),
            ("outputs", self.outputs.len()),
            ("tasks", self.tasks.len()),
            ("attempts", self.attempts.len()),
            ("classes", self.classes.table.len()),
            ("asks", self.asks.len()),
            ("kinds", self.kinds.len()),
            ("lines", self.backlog.lines.len()),
            ("outputs that agents have", self.local.len()),
            ("groups at work", usize::from(!self.groups.are_idle())),
        ];
        let kept = rows.iter().filter(|(_, rows)| *rows > 0);
        let kept: Vec<_> = kept.collect();
        hold("nothing is kept of what has ended", kept.is_empty(), || {
            format!("{kept:?}")
        })
    }

    fn check_derivation(
        &self,
        ix: Ix<Derivation>,
        derivation: &Derivation,
    ) -> Result<(), InvariantViolation> {
        let name = || format!("derivation {}", derivation.item.name);
        let idle = derivation.tasks.is_empty();
        hold("a derivation has a task", !idle, name)?;
        let nodes = || derivation.inputs.iter().map(|input| &self.outputs[*input]);
        let count = |status| nodes().filter(|node| node.status() == status).count();
        let (expected, lost) = (count(Status::Expected), count(Status::Lost));
        let inputs = self.derivations.hot(ix);
        let counted = (inputs.expected as usize, inputs.lost as usize);
        hold("inputs are counted", counted == (expected, lost), || {
            format!("{}: {counted:?}, not {:?}", name(), (expected, lost))
        })?;
        for task in &derivation.tasks {
            let state = self.tasks[*task].state();
            let fits = match state {
                TaskState::Running => true,
                TaskState::Blocked => expected > 0 && lost == 0,
                TaskState::Ready | TaskState::BackedOff(_) => expected == 0 && lost == 0,
            };
            hold("a state follows from the inputs", fits, || {
                format!("{} is {state:?}", name())
            })?;
        }
        let own = derivation.tasks.iter();
        let own = own.flat_map(|task| &self.tasks[*task].builds);
        let own = own.filter(|build| !self.builds[**build].implicit);
        hold(
            "own priorities are counted",
            derivation.own.count() == own.count() as u64,
            name,
        )?;
        let derived = self.derived(ix);
        let makes = |output: &Ix<Output>| self.outputs[*output].makers().any(|maker| maker == ix);
        hold(
            "a derivation makes its outputs",
            derivation.outputs.iter().all(makes),
            name,
        )?;
        let settled = !self.config.policy.needs_remaining() || !self.remaining.is_settled() || {
            let right = derivation.remaining_ms == self.remaining_of(ix);
            right && derivation.standing == Standing::Settled
        };
        hold(
            "what remains follows from those that need it",
            settled,
            || format!("{}: {} ms", name(), derivation.remaining_ms),
        )?;
        hold(
            "a derived priority is known to the inputs",
            derivation.announced == derived,
            || {
                format!(
                    "{}: {} told, {derived} is right",
                    name(),
                    derivation.announced
                )
            },
        )
    }

    fn check_output(&self, ix: Ix<Output>, output: &Output) -> Result<(), InvariantViolation> {
        let name = || format!("output {ix:?} {:?}", output.digest);
        let uses = self.outputs.hot(ix);
        let live = output.users.current(&self.derivations).count();
        let counted = (uses.live as usize, uses.stale as usize);
        let right = (live, output.users.len() - live);
        hold("users are counted", counted == right, name)?;
        let few = right.1 <= live.max(32);
        hold("users that are gone are forgotten", few, name)?;
        let available = output.presence.is_available();
        hold(
            "what is available is known so",
            uses.available == available,
            name,
        )?;
        let levels = if available {
            Levels::default()
        } else {
            self.levels_of_users(ix)
        };
        hold(
            "users' priorities are counted",
            levels == output.priorities,
            name,
        )?;
        let used = live > 0 || output.makers().next().is_some();
        hold("an output is made or needed", used, name)?;
        hold("nobody has to hear of it", uses.pending == 0, name)
    }
}
