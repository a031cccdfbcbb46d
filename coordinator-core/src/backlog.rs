//! How much there is to do, in the order in which it comes.
//!
//! Of each task that does not run is kept what it is expected to take, by system and group, then by derived priority, then by age; so
//! that what comes before a build can be summed up, blocked or not.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::machine::Core;
use crate::slab::{Content, Ix, Slab};
use crate::tables::{Derivation, Task};

/// So many tasks that came one after the other make a step.
const STEP: u64 = 64;
/// So many lines there are. Groups that come beyond that share one for each system.
const MAX_LINES: usize = 2_048;
/// What the line of those is called.
const REST: &str = "(the rest)";
/// So many steps of a line are summed up for those who ask; what comes later is said to come last.
const SUMMED: usize = 65_536;

/// Where a task stands in its line: the derived priority that its inputs know of, then age.
pub(crate) type Stand = (Reverse<i32>, u64);

/// A group, from the outermost in, with weights; nobody if agents are not shared.
pub(crate) type Path = Vec<(String, u32)>;

/// What waits for agents of one system on behalf of one group.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) system: String,
    pub(crate) path: Path,
    steps: BTreeMap<Stand, Step>,
    pub(crate) all: Load,
}

impl Content for Line {
    type Hot = ();
}

/// Tasks of a priority that came one after the other.
#[derive(Debug, Default)]
struct Step {
    /// Milliseconds.
    work: u64,
    /// The order of each within the step, and its milliseconds.
    tasks: Vec<(u8, u32)>,
}

/// All lines.
#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) lines: Slab<Line>,
    names: BTreeMap<String, BTreeMap<Path, Ix<Line>>>,
}

/// Some tasks of a line, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Milliseconds.
    pub(crate) work: u64,
    pub(crate) tasks: u64,
}

impl Load {
    pub(crate) fn add(&mut self, work: u64, tasks: u64) {
        self.work = self.work.saturating_add(work);
        self.tasks += tasks;
    }
}

fn step_of(order: u64) -> (u64, u8) {
    let within = u8::try_from(order % STEP).expect("a step is small");
    (order / STEP, within)
}

impl Backlog {
    pub(crate) fn new() -> Self {
        Self {
            lines: Slab::new(),
            names: BTreeMap::new(),
        }
    }

    /// The line of a system and a group, if there is one.
    pub(crate) fn find(&self, system: &str, path: &[(String, u32)]) -> Option<Ix<Line>> {
        self.names.get(system)?.get(path).copied()
    }

    /// The line of a system and a group.
    fn line(&mut self, system: &str, mut path: Path) -> Ix<Line> {
        if self.lines.len() >= MAX_LINES && self.find(system, &path).is_none() && !path.is_empty() {
            path = vec![(REST.to_owned(), 1)];
        }
        if let Some(known) = self.find(system, &path) {
            return known;
        }
        let line = self.lines.insert(Line {
            system: system.to_owned(),
            path: path.clone(),
            steps: BTreeMap::new(),
            all: Load::default(),
        });
        let of = self.names.entry(system.to_owned()).or_default();
        of.insert(path, line);
        line
    }

    /// Whether a task stands there.
    pub(crate) fn has(&self, line: Ix<Line>, (priority, order): Stand) -> bool {
        let (step, within) = step_of(order);
        let line = self.lines.get(line);
        let step = line.and_then(|line| line.steps.get(&(priority, step)));
        step.is_some_and(|step| step.tasks.iter().any(|(other, _)| *other == within))
    }

    fn add(&mut self, line: Ix<Line>, (priority, order): Stand, work: u32) {
        let line = &mut self.lines[line];
        line.all.add(work.into(), 1);
        let (step, within) = step_of(order);
        let step = line.steps.entry((priority, step)).or_default();
        step.work += u64::from(work);
        step.tasks.push((within, work));
    }

    fn remove(&mut self, ix: Ix<Line>, (priority, order): Stand) {
        let line = &mut self.lines[ix];
        let (step, within) = step_of(order);
        let key = (priority, step);
        if let Some(step) = line.steps.get_mut(&key)
            && let Some(at) = step.tasks.iter().position(|(other, _)| *other == within)
        {
            let (_, work) = step.tasks.swap_remove(at);
            step.work -= u64::from(work);
            line.all.work -= u64::from(work);
            line.all.tasks -= 1;
            if step.tasks.is_empty() {
                line.steps.remove(&key);
            }
        }
        if line.all.tasks == 0
            && let Some(line) = self.lines.remove(ix)
            && let Some(of) = self.names.get_mut(&line.system)
        {
            of.remove(&line.path);
            if of.is_empty() {
                self.names.remove(&line.system);
            }
        }
    }
}

impl Line {
    /// What comes before a place, if that is not much.
    pub(crate) fn first(&self, stand: Stand) -> Load {
        let (step, _) = step_of(stand.1);
        let mut load = Load::default();
        let steps = self.steps.range(..=(stand.0, step));
        for (_, step) in steps.take(STEP as usize) {
            load.add(step.work, step.tasks.len() as u64);
        }
        load
    }
}

/// A line, summed up so that many can ask.
#[derive(Debug)]
pub(crate) struct Sums<'a> {
    line: &'a Line,
    /// What comes before each step, in their order.
    before: Vec<(Stand, Load)>,
}

impl<'a> Sums<'a> {
    pub(crate) fn of(line: &'a Line) -> Self {
        let mut sum = Load::default();
        let before = line.steps.iter().take(SUMMED).map(|(key, step)| {
            let before = (*key, sum);
            sum.add(step.work, step.tasks.len() as u64);
            before
        });
        let before = before.collect();
        Self { line, before }
    }

    /// What comes before such a place.
    pub(crate) fn before(&self, (priority, order): Stand) -> Load {
        let (step, within) = step_of(order);
        let key = (priority, step);
        let at = self.before.partition_point(|(other, _)| *other < key);
        let mut load = self.before.get(at).map_or(self.line.all, |(_, load)| *load);
        if let Some(step) = self.line.steps.get(&key) {
            for (other, work) in &step.tasks {
                if *other < within {
                    load.add(u64::from(*work), 1);
                }
            }
        }
        load
    }
}

impl Core {
    /// A task of a derivation whose inputs know its priority joins a line.
    pub(crate) fn join_line(&mut self, ix: Ix<Task>) {
        let share = self.config.policy.share.clone();
        let path = share.and_then(|share| Some(share.path(&self.candidate(ix)?)));
        let path = path.unwrap_or_default();
        let task = &self.tasks[ix];
        let derivation = &self.derivations[task.derivation];
        let stand = (Reverse(derivation.announced), task.order);
        let line = self.backlog.line(&derivation.kind.system, path);
        self.backlog.add(line, stand, derivation.expected_ms);
        self.tasks[ix].line = Some(line);
    }

    pub(crate) fn leave_line(&mut self, ix: Ix<Task>) {
        let Some((line, stand)) = self.stand(ix) else {
            return;
        };
        self.tasks[ix].line = None;
        self.backlog.remove(line, stand);
    }

    /// Where a task stands, if it has joined a line.
    pub(crate) fn stand(&self, ix: Ix<Task>) -> Option<(Ix<Line>, Stand)> {
        let task = &self.tasks[ix];
        let priority = self.derivations[task.derivation].announced;
        Some((task.line?, (Reverse(priority), task.order)))
    }

    /// A derivation's inputs know of another priority, or it is expected to take something else: its tasks move.
    pub(crate) fn move_in_line(
        &mut self,
        ix: Ix<Derivation>,
        change: impl FnOnce(&mut Derivation),
    ) {
        let tasks = self.derivations[ix].tasks.clone();
        self.edges += tasks.len();
        let stands: Vec<_> = tasks.iter().map(|task| self.stand(*task)).collect();
        change(&mut self.derivations[ix]);
        let work = self.derivations[ix].expected_ms;
        for (task, before) in tasks.iter().zip(stands) {
            if let (Some((line, before)), Some((_, after))) = (before, self.stand(*task)) {
                // First what is added: a line without tasks goes.
                self.backlog.add(line, after, work);
                self.backlog.remove(line, before);
            }
        }
    }
}
