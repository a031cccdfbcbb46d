//! What agents that could take a build have to do before it.
//!
//! The queue flows off as a fluid would: each slot does its share of the work from the moment on at which what it does now has
//! ended.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::backlog::{Line, Stand, Sums};
use crate::eta::{Outlook, speed, works};
use crate::io::AttemptPhase;
use crate::machine::Core;
use crate::queue::Class;
use crate::slab::Ix;
use crate::tables::{Agent, Attempt, Task, TaskState};

/// Agents that could take builds of a class.
pub(crate) struct Prospect<'a> {
    /// When slots will be free, in milliseconds from now, and by how much work each then does in a millisecond, the soonest first.
    pub(crate) slots: Vec<(f64, f64)>,
    /// Which systems they work for, and the share of each system's work that they do.
    pub(crate) systems: Vec<(&'a str, f64)>,
    /// Milliseconds of all that waits for them, and of what is urgent, and how many tasks that is.
    pub(crate) all: f64,
    pub(crate) urgent: (f64, f64),
}

impl Core {
    /// Milliseconds until an attempt leaves its slot, about: there may be thousands.
    fn about_left(&self, ix: Ix<Attempt>) -> f64 {
        let attempt = &self.attempts[ix];
        let derivation = self.tasks[attempt.task].derivation;
        let expected = f64::from(self.derivations[derivation].expected_ms) / speed(attempt.speed);
        let passed = self.now.since(attempt.record.assigned_at).as_secs_f64() * 1e3;
        (expected - passed).max(passed / 10.0)
    }
}

impl<'a> Outlook<'a> {
    /// One that somebody could take, if there is one.
    pub(crate) fn class_of(&mut self, task: Ix<Task>) -> Option<Ix<Class>> {
        let classes = &self.core.tasks[task].classes;
        let offered = classes.iter().copied();
        let mut offered = offered.filter(|class| self.prospect(*class).is_some());
        offered.next()
    }

    pub(crate) fn prospect(&mut self, class: Ix<Class>) -> Option<&Prospect<'a>> {
        if !self.prospects.contains_key(&class) {
            let prospect = self.look_at(class);
            self.prospects.insert(class, prospect);
        }
        self.prospects.get(&class)?.as_ref()
    }

    fn look_at(&mut self, class: Ix<Class>) -> Option<Prospect<'a>> {
        let core = self.core;
        self.edges += core.agents.len() + core.backlog.lines.len();
        let row = &core.classes.table[class];
        let mut slots = Vec::new();
        // How much work agents do for each system, and how much of that is done by those who could take these builds.
        let mut systems: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
        for (_, agent) in core.agents.iter().filter(|(_, agent)| works(agent)) {
            let fits = row.fits(agent);
            let rate = speed(agent.speed()) * f64::from(agent.capacity.parallel);
            for system in &agent.capacity.systems {
                let [all, theirs] = systems.entry(system).or_default();
                *all += rate;
                *theirs += if fits { rate } else { 0.0 };
            }
            if fits {
                self.slots_of(agent, &mut slots);
            }
        }
        if slots.is_empty() {
            return None;
        }
        slots.sort_unstable_by(|one: &(f64, f64), other| one.0.total_cmp(&other.0));
        let systems = systems.into_iter();
        let systems = systems.filter(|(_, [_, theirs])| *theirs > 0.0);
        let systems: Vec<_> = systems
            .map(|(system, [all, theirs])| (system, theirs / all))
            .collect();
        let from = core.config.policy.urgent;
        let (mut all, mut urgent) = (0.0, (0.0, 0.0));
        for (_, line) in core.backlog.lines.iter() {
            let served = systems.iter().find(|(system, _)| *system == line.system);
            let Some((_, share)) = served else { continue };
            all += line.all.work as f64 * share;
            if let Some(from) = from {
                let first = line.first((Reverse(from), u64::MAX));
                urgent.0 += first.work as f64 * share;
                urgent.1 += first.tasks as f64 * share;
            }
        }
        Some(Prospect {
            slots,
            systems,
            all,
            urgent,
        })
    }

    /// When an agent's slots will be free.
    fn slots_of(&self, agent: &Agent, slots: &mut Vec<(f64, f64)>) {
        let attempts = agent.attempts.iter();
        let busy = attempts.filter(|it| self.core.attempts[**it].phase != AttemptPhase::Uploading);
        let mut left: Vec<f64> = busy.map(|it| self.core.about_left(*it)).collect();
        left.sort_unstable_by(|one, other| other.total_cmp(one));
        let (speed, parallel) = (speed(agent.speed()), agent.capacity.parallel);
        let all = usize::try_from(parallel).unwrap_or(usize::MAX);
        // What it holds beyond that waits for what is done first.
        while left.len() > all.max(1) {
            let (next, first) = (left.remove(0), left.pop().unwrap_or(0.0));
            let at = left.partition_point(|other| *other > next + first);
            left.insert(at, next + first);
        }
        let idle = f64::from(parallel) - left.len() as f64;
        slots.extend(left.iter().map(|left| (*left, speed)));
        if idle > 0.0 {
            slots.push((0.0, speed * idle));
        }
    }

    /// Milliseconds until somebody takes a task, and their standard deviation.
    pub(crate) fn delay(&mut self, task: Ix<Task>, class: Option<Ix<Class>>) -> (f64, f64) {
        let core = self.core;
        let state = core.tasks[task].state();
        let (Some((line, stand)), Some(class)) = (core.stand(task), class) else {
            return (0.0, 0.0);
        };
        if state == TaskState::Running || self.prospect(class).is_none() {
            return (0.0, 0.0);
        }
        let (work, tasks) = self.before(class, line, stand);
        let Some(Some(prospect)) = self.prospects.get(&class) else {
            return (0.0, 0.0);
        };
        let mut delay = flows_off(&prospect.slots, work);
        if let TaskState::BackedOff(until) = state {
            delay = delay.max(until.since(core.now).as_secs_f64() * 1e3);
        }
        // Those before it are taken to be as hard to predict as it is itself.
        let each = core.duration_of(core.tasks[task].derivation);
        let spread = each.variance().sqrt() / each.mean() / tasks.max(1.0).sqrt();
        (delay, delay * spread.min(1.0))
    }

    /// What the agents of a class have to do before they come to this place: milliseconds, and how many tasks.
    fn before(&mut self, class: Ix<Class>, line: Ix<Line>, stand: Stand) -> (f64, f64) {
        let core = self.core;
        let Some(Some(prospect)) = self.prospects.get(&class) else {
            return (0.0, 0.0);
        };
        let path = &core.backlog.lines[line].path;
        let (all, urgent) = (prospect.all, prospect.urgent);
        let systems = prospect.systems.iter();
        let lines = systems.filter_map(|(system, share)| {
            let line = core.backlog.find(system, path)?;
            Some((line, *share))
        });
        let (mut work, mut tasks) = (0.0, 0.0);
        for (line, share) in lines.collect::<Vec<_>>() {
            let row = &core.backlog.lines[line];
            let sums = self.sums.entry(line).or_insert_with(|| Sums::of(row));
            let load = sums.before(stand);
            work += load.work as f64 * share;
            tasks += load.tasks as f64 * share;
        }
        let from = core.config.policy.urgent;
        if path.is_empty() || from.is_some_and(|from| stand.0.0 >= from) {
            return (work, tasks);
        }
        // Its group gets its share of what the agents do, or more if others have nothing to do.
        let share = self.share_of(class, line);
        ((urgent.0 + work / share).min(all), urgent.1 + tasks)
    }

    /// What share of the agents of a class a line's group has, beside those that have something to do.
    fn share_of(&mut self, class: Ix<Class>, line: Ix<Line>) -> f64 {
        if let Some(share) = self.shares.get(&(class, line)) {
            return *share;
        }
        let lines = &self.core.backlog.lines;
        let path = &lines[line].path;
        let systems = match self.prospects.get(&class) {
            Some(Some(prospect)) => &prospect.systems[..],
            _ => &[],
        };
        self.edges += lines.len();
        let served = lines.iter().map(|(_, line)| line);
        let served = served.filter(|line| systems.iter().any(|(of, _)| *of == line.system));
        let paths: Vec<_> = served.map(|line| &line.path).collect();
        let names = |path: &'a [(String, u32)]| path.iter().map(|(name, _)| name);
        let mut share = 1.0;
        for (at, (name, weight)) in path.iter().enumerate() {
            let mut siblings = BTreeMap::from([(name.as_str(), *weight)]);
            for other in &paths {
                if let Some((name, weight)) = other.get(at)
                    && names(&other[..at]).eq(names(&path[..at]))
                {
                    siblings.insert(name, *weight);
                }
            }
            let weights = siblings.values();
            let all: f64 = weights.map(|weight| f64::from((*weight).max(1))).sum();
            share *= f64::from((*weight).max(1)) / all;
        }
        self.shares.insert((class, line), share);
        share
    }
}

/// When so much work is done: slots with the moment at which each is free, in order, and what it then does in a unit of time.
fn flows_off(slots: &[(f64, f64)], mut work: f64) -> f64 {
    let (mut at, mut rate) = (0.0, 0.0);
    for (free, more) in slots {
        let until = (free - at) * rate;
        if rate > 0.0 && until >= work {
            break;
        }
        work -= until;
        at = *free;
        rate += more;
    }
    if rate > 0.0 { at + work / rate } else { at }
}

#[cfg(test)]
mod tests {
    use super::flows_off;

    #[test]
    fn work_flows_off_through_slots_as_they_become_free() {
        let slots = [(0.0, 1.0), (10.0, 1.0), (40.0, 2.0)];
        for (work, at) in [
            (0.0, 0.0),
            (5.0, 5.0),
            (10.0, 10.0),
            (30.0, 20.0),
            (78.0, 42.0),
        ] {
            assert!((flows_off(&slots, work) - at).abs() < 1e-9, "{work}");
        }
        assert!((flows_off(&[(7.0, 3.0)], 0.0) - 7.0).abs() < 1e-9);
    }
}
