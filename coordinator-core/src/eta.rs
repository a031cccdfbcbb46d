//! When builds will have ended.
//!
//! Nothing is planned, so this is reckoned when somebody asks, from what is expected of builds. A build ends no sooner than the
//! longest chain of builds that it waits for lets it; and no sooner than the agents that can take it have done what comes
//! before it in their queues. The later of the two is told. The queue flows off as a fluid would: each slot does its share of
//! the work from the moment on at which what it does now has ended (R. L. Graham, "Bounds on multiprocessing timing anomalies",
//! 1969, says how far that can be off).
//!
//! What is not seen: builds that come later and go before, agents that come and go, an order of the policy other than priority
//! and age, resources that keep builds from running side by side, and failures.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use grange_model::{BuildId, Item};

use crate::backlog::{Line, Stand, Sums};
use crate::io::AttemptPhase;
use crate::lognormal::{LogNormal, larger};
use crate::machine::Core;
use crate::package::package;
use crate::queue::Class;
use crate::slab::Ix;
use crate::tables::{Agent, Attempt, Build, Derivation, Index, Task, TaskState};

/// How many edges of the graph are followed for one question, however many builds it is about; agents and lines count, too.
const EDGES: usize = 25_000;
/// The logarithm of what was forecast deviates by so much for reasons that are not seen here.
const UNKNOWN: f64 = 0.15;
/// And by this multiple of what single builds took longer or shorter than expected: they are not late independently of each other,
/// since those of which least is known are the same everywhere, and the long ones end last. Chosen by what simulated farms made of
/// forecasts.
const TOGETHER: f64 = 1.0;
/// What single builds are off when nothing is known of them, and when something is, before any has ended.
const SURPRISES: (f64, f64) = (1.5, 0.3);

/// When a build will have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Eta {
    /// It is not among the unfinished ones.
    NotUnfinished,
    /// No agent that is present could take it, or something that it waits for.
    Never {
        /// What nobody could take.
        derivation: Item,
        /// What is missing, in words.
        missing: Vec<String>,
    },
    /// From now on, if nothing new comes before it.
    In {
        /// It has ended by then as likely as not.
        p50: Duration,
        /// It has ended by then in nine cases of ten.
        p90: Duration,
        /// Whether all that it waits for was looked at; else it may take longer.
        complete: bool,
    },
}

/// Agents that could take builds of a class.
struct Prospect<'a> {
    /// When slots will be free, in milliseconds from now, and by how much work each then does in a millisecond, the soonest first.
    slots: Vec<(f64, f64)>,
    /// Which systems they work for, and the share of each system's work that they do.
    systems: Vec<(&'a str, f64)>,
    /// Milliseconds of all that waits for them, and of what is urgent, and how many tasks that is.
    all: f64,
    urgent: (f64, f64),
}

/// The longest chain of builds that ends with a derivation.
#[derive(Clone, Copy, Debug)]
struct Chain {
    /// Milliseconds, and their variance.
    mean: f64,
    variance: f64,
    /// What it begins with.
    root: Ix<Task>,
    /// The variance of what that takes: chains that begin with the same task are late together.
    begins: f64,
    /// Nobody could take something that belongs to it.
    never: bool,
    complete: bool,
}

impl Chain {
    /// Whichever of two ends later: that may be either.
    fn or(&self, other: &Self) -> Self {
        let (first, second) = if (self.never, self.mean) >= (other.never, other.mean) {
            (self, other)
        } else {
            (other, self)
        };
        if first.never {
            return *first;
        }
        let common = if first.root == second.root {
            first.begins
        } else {
            0.0
        };
        let of = |chain: &Self| (chain.mean, (chain.variance - common).max(0.0));
        let (mean, variance) = larger(of(first), of(second));
        Self {
            mean,
            variance: variance + common,
            ..*first
        }
    }
}

/// What was found out to answer one question.
struct Outlook<'a> {
    core: &'a Core,
    sums: BTreeMap<Ix<Line>, Sums<'a>>,
    prospects: BTreeMap<Ix<Class>, Option<Prospect<'a>>>,
    /// What share of what the agents of a class do the group of a line has.
    shares: BTreeMap<(Ix<Class>, Ix<Line>), f64>,
    chains: Index<u32, Chain>,
    /// By which factor a build takes longer than at speed 1, wherever it may come to: mean and variance.
    slower: (f64, f64),
    /// The deviation of the logarithm of whatever is forecast.
    doubt: f64,
    edges: usize,
}

impl Core {
    /// When builds will have ended, each in its place.
    #[must_use]
    pub fn etas(&self, builds: &[BuildId]) -> Vec<Eta> {
        let known = |id| self.names.builds.get(id).copied();
        let mut outlook = Outlook::new(self);
        let etas = builds.iter().map(|id| {
            let build = known(id);
            build.map_or(Eta::NotUnfinished, |ix| outlook.eta(&self.builds[ix]))
        });
        etas.collect()
    }

    fn duration_of(&self, ix: Ix<Derivation>) -> LogNormal {
        let derivation = &self.derivations[ix];
        let name = package(&derivation.item.name);
        LogNormal::of(self.predict_duration(&name, &derivation.kind.system).0)
    }

    /// What is left of an attempt.
    fn left_of(&self, attempt: &Attempt) -> LogNormal {
        let derivation = self.tasks[attempt.task].derivation;
        let passed = self.now.since(attempt.record.assigned_at);
        let duration = self.duration_of(derivation).at_speed(speed(attempt.speed));
        duration.after(passed.as_secs_f64() * 1e3)
    }

    /// Milliseconds until an attempt leaves its slot, about: there may be thousands.
    fn about_left(&self, ix: Ix<Attempt>) -> f64 {
        let attempt = &self.attempts[ix];
        let derivation = self.tasks[attempt.task].derivation;
        let expected = f64::from(self.derivations[derivation].expected_ms) / speed(attempt.speed);
        let passed = self.now.since(attempt.record.assigned_at).as_secs_f64() * 1e3;
        (expected - passed).max(passed / 10.0)
    }

    /// The attempt of a task that goes on to count on.
    fn attempt_of(&self, task: Ix<Task>) -> Option<&Attempt> {
        let attempts = self.tasks[task].attempts.iter();
        let mut attempts = attempts.map(|ix| &self.attempts[*ix]);
        attempts.find(|attempt| !attempt.expired)
    }
}

/// From thousandths.
fn speed(speed: u32) -> f64 {
    f64::from(speed.max(1)) / 1e3
}

impl<'a> Outlook<'a> {
    fn new(core: &'a Core) -> Self {
        let agents = core.agents.iter().filter(|(_, agent)| works(agent));
        let (mut slots, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (_, agent) in agents {
            let (parallel, slower) = (
                f64::from(agent.capacity.parallel),
                1.0 / speed(agent.speed()),
            );
            slots += parallel;
            sum += slower * parallel;
            squares += slower * slower * parallel;
        }
        let (none, some) = SURPRISES;
        let first = if core.history.len() == 0 { none } else { some };
        let mean = if slots > 0.0 { sum / slots } else { 1.0 };
        let variance = if slots > 0.0 {
            squares / slots - mean * mean
        } else {
            0.0
        };
        Self {
            core,
            sums: BTreeMap::new(),
            prospects: BTreeMap::new(),
            shares: BTreeMap::new(),
            chains: Index::default(),
            slower: (mean, variance.max(0.0)),
            doubt: UNKNOWN + TOGETHER * core.history.surprise().unwrap_or(first),
            edges: 0,
        }
    }

    fn eta(&mut self, build: &Build) -> Eta {
        let task = build.task;
        let derivation = self.core.tasks[task].derivation;
        let chain = self.chain(derivation, task);
        if chain.never {
            return self.never(chain.root);
        }
        let class = self.class_of(chain.root);
        let (delay, doubt) = self.delay(chain.root, class);
        let (mut mean, mut variance) = (delay + chain.mean, chain.variance + doubt * doubt);
        if self.core.tasks[task].state == TaskState::Blocked {
            // When its inputs are there, others may still come before it.
            if self.prospect(build.class).is_none() {
                return self.never(task);
            }
            let own = self.anywhere(derivation);
            let (delay, doubt) = self.delay(task, Some(build.class));
            if delay + own.mean() > mean {
                mean = delay + own.mean();
                variance = own.variance() + doubt * doubt;
            }
        }
        let quantiles = LogNormal::with(mean, variance)
            .doubted(self.doubt)
            .quantiles();
        Eta::In {
            p50: Duration::from_millis(quantiles.p50),
            p90: Duration::from_millis(quantiles.p90),
            complete: chain.complete,
        }
    }

    fn never(&self, task: Ix<Task>) -> Eta {
        let row = &self.core.tasks[task];
        let classes = row.classes.iter();
        let missing = classes.flat_map(|class| {
            let class = &self.core.classes.table[*class];
            self.core.nobody_offers(class)
        });
        let mut missing: Vec<_> = missing.collect();
        missing.dedup();
        if missing.is_empty() {
            missing.push("all agents that could take it are paused".to_owned());
        }
        Eta::Never {
            derivation: self.core.derivations[row.derivation].item.clone(),
            missing,
        }
    }

    /// One that somebody could take, if there is one.
    fn class_of(&mut self, task: Ix<Task>) -> Option<Ix<Class>> {
        let classes = &self.core.tasks[task].classes;
        let offered = classes.iter().copied();
        let mut offered = offered.filter(|class| self.prospect(*class).is_some());
        offered.next()
    }

    fn prospect(&mut self, class: Ix<Class>) -> Option<&Prospect<'a>> {
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
    fn delay(&mut self, task: Ix<Task>, class: Option<Ix<Class>>) -> (f64, f64) {
        let core = self.core;
        let state = core.tasks[task].state;
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

    /// The longest chain that ends with a derivation, one of whose tasks is this.
    fn chain(&mut self, derivation: Ix<Derivation>, task: Ix<Task>) -> Chain {
        if self.core.tasks[task].state != TaskState::Blocked {
            return self.root(derivation, task);
        }
        let mut path = vec![(derivation, 0)];
        let mut entered: Index<u32, ()> = Index::default();
        while let Some((ix, at)) = path.last_mut() {
            if self.edges > EDGES {
                return Chain {
                    complete: false,
                    ..self.longest(derivation)
                };
            }
            let (ix, inputs) = (*ix, &self.core.derivations[*ix].inputs);
            let Some(input) = inputs.get(*at) else {
                path.pop();
                let chain = self.longest(ix);
                self.chains.insert(ix.0, chain);
                continue;
            };
            *at += 1;
            self.edges += 1;
            let node = &self.core.outputs[*input];
            let producer = node.producers.first().filter(|_| node.is_expected());
            let Some(&producer) = producer else { continue };
            if self.chains.contains_key(&producer.0) {
                continue;
            }
            let task = self.core.foremost(producer);
            match task.map(|task| (task, self.core.tasks[task].state)) {
                Some((_, TaskState::Blocked)) if entered.contains_key(&producer.0) => {}
                Some((_, TaskState::Blocked)) => {
                    entered.insert(producer.0, ());
                    path.push((producer, 0));
                }
                Some((task, _)) => {
                    let chain = self.root(producer, task);
                    self.chains.insert(producer.0, chain);
                }
                None => {}
            }
        }
        self.chains[&derivation.0]
    }

    /// What a derivation takes that has not begun.
    fn anywhere(&self, ix: Ix<Derivation>) -> LogNormal {
        let (mean, variance) = self.slower;
        self.core.duration_of(ix).times(mean, variance)
    }

    /// The longest of the chains of a blocked derivation's inputs, and itself.
    fn longest(&mut self, ix: Ix<Derivation>) -> Chain {
        let own = self.anywhere(ix);
        let task = self.core.foremost(ix).expect("a derivation has a task");
        let row = &self.core.derivations[ix];
        // Where there are very many, some say enough.
        let inputs = row.inputs.iter().take(EDGES.saturating_sub(self.edges / 4));
        self.edges += inputs.len();
        let nodes = inputs.map(|input| &self.core.outputs[*input]);
        let producers = nodes.filter(|node| node.is_expected());
        let producers = producers.filter_map(|node| node.producers.first());
        let mut longest: Option<Chain> = None;
        let mut complete = true;
        for producer in producers {
            let Some(chain) = self.chains.get(&producer.0) else {
                complete = false;
                continue;
            };
            complete &= chain.complete;
            longest = Some(longest.map_or(*chain, |longest| longest.or(chain)));
        }
        let longest = longest.unwrap_or(Chain {
            mean: 0.0,
            variance: 0.0,
            root: task,
            begins: 0.0,
            never: false,
            complete,
        });
        let chain = Chain {
            mean: longest.mean + own.mean(),
            variance: longest.variance + own.variance(),
            complete,
            ..longest
        };
        if !chain.never && self.class_of(task).is_none() {
            return Chain {
                never: true,
                root: task,
                ..chain
            };
        }
        chain
    }

    /// A chain that begins with a derivation: it runs, or somebody may take it.
    fn root(&mut self, ix: Ix<Derivation>, task: Ix<Task>) -> Chain {
        let attempt = self.core.attempt_of(task);
        let own = match attempt {
            Some(attempt) => self.core.left_of(attempt),
            None => self.anywhere(ix),
        };
        let never = attempt.is_none() && self.class_of(task).is_none();
        Chain {
            mean: own.mean(),
            variance: own.variance(),
            root: task,
            begins: own.variance(),
            never,
            complete: true,
        }
    }
}

/// Whether an agent gets builds.
fn works(agent: &Agent) -> bool {
    agent.is_present() && !agent.record.paused && agent.capacity.parallel > 0
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
