//! Ready tasks, by what an agent must be to take them.
//!
//! What the policy's orders say, then age. Keys do not know what time it is, so that a queue never has to
//! be sorted again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use grange_model::Tags;
use smallvec::SmallVec;

use crate::demand::Demand;
use crate::machine::Core;
use crate::policy::{Candidate, OrderKey};
use crate::share::{Lane, Rank};
use crate::slab::{Content, Ix, Slab};
use crate::tables::{Agent, Avoided, Task, TaskState};
use crate::work::Work;

/// All builds that the same agents can take.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) system: String,
    pub(crate) requires: Tags,
    pub(crate) demand: Demand,
    /// How many unfinished builds are of it.
    pub(crate) builds: u32,
    pub(crate) ready: BTreeSet<Place>,
    /// How many of them are in each lane.
    pub(crate) lanes: BTreeMap<Lane, u32>,
    /// Tasks that every agent had a setup failure of that could take them.
    pub(crate) backed_off: BTreeSet<Ix<Task>>,
    /// How many that come later have been given to agents that could take its first, but for want of something.
    pub(crate) passed: u32,
    /// The agent that is kept free for its first. Whether it still can take it has to be looked at.
    pub(crate) reserved: Option<Ix<Agent>>,
}

impl Content for Class {
    type Hot = ();
}

/// A place in a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Where lanes stand among each other changes all the time, and is looked at when it is chosen.
    pub(crate) lane: Lane,
    /// What the policy's orders say.
    pub(crate) key: OrderKey,
    /// Age.
    pub(crate) order: u64,
    pub(crate) task: Ix<Task>,
}

/// A place among all: the lower, the sooner.
pub(crate) type Turn<'a> = (Rank, &'a Place);

impl Class {
    fn add(&mut self, place: Place) {
        let lane = place.lane;
        if self.ready.insert(place) {
            *self.lanes.entry(lane).or_default() += 1;
        }
    }

    fn take(&mut self, place: &Place) {
        if self.ready.remove(place)
            && let Some(count) = self.lanes.get_mut(&place.lane)
        {
            *count -= 1;
            if *count == 0 {
                self.lanes.remove(&place.lane);
            }
        }
    }

    /// The places of a lane, in order.
    pub(crate) fn places_of(&self, lane: Lane) -> impl Iterator<Item = &Place> {
        let first = Place {
            lane,
            key: OrderKey::default(),
            order: 0,
            task: Ix::new(0),
        };
        self.ready
            .range(first..)
            .take_while(move |place| place.lane == lane)
    }

    /// Whether the agent can take its builds.
    pub(crate) fn fits(&self, agent: &Agent) -> bool {
        agent.takes(&self.system, &self.requires) && agent.could_afford(&self.demand)
    }
}

/// All classes that unfinished builds are of.
#[derive(Debug)]
pub(crate) struct Classes {
    pub(crate) table: Slab<Class>,
    /// By system, then by what is required, then by what is used up: so that a look-up copies none of them.
    names: BTreeMap<String, BTreeMap<Tags, BTreeMap<Demand, Ix<Class>>>>,
    /// Those with ready tasks.
    pub(crate) ready: BTreeSet<Ix<Class>>,
    /// Those of them that use something up.
    pub(crate) demanding: BTreeSet<Ix<Class>>,
    /// Those that got a ready task since agents were last looked at.
    pub(crate) fresh: BTreeSet<Ix<Class>>,
}

impl Classes {
    pub(crate) fn new() -> Self {
        Self {
            table: Slab::new(),
            names: BTreeMap::new(),
            ready: BTreeSet::new(),
            demanding: BTreeSet::new(),
            fresh: BTreeSet::new(),
        }
    }

    pub(crate) fn is_known(&self, system: &str, requires: &Tags, demand: &Demand) -> bool {
        self.find(system, requires, demand).is_some()
    }

    fn find(&self, system: &str, requires: &Tags, demand: &Demand) -> Option<Ix<Class>> {
        self.names.get(system)?.get(requires)?.get(demand).copied()
    }

    /// The class, with one build more.
    pub(crate) fn join(&mut self, system: &str, requires: &Tags, demand: Demand) -> Ix<Class> {
        if let Some(ix) = self.find(system, requires, &demand) {
            self.table[ix].builds += 1;
            return ix;
        }
        let class = Class {
            system: system.to_owned(),
            requires: requires.clone(),
            demand: demand.clone(),
            builds: 1,
            ready: BTreeSet::new(),
            lanes: BTreeMap::new(),
            backed_off: BTreeSet::new(),
            passed: 0,
            reserved: None,
        };
        let ix = self.table.insert(class);
        let of_system = self.names.entry(system.to_owned()).or_default();
        let alike = of_system.entry(requires.clone()).or_default();
        alike.insert(demand, ix);
        ix
    }

    /// A class got a ready task.
    fn now_ready(&mut self, ix: Ix<Class>) {
        self.ready.insert(ix);
        self.fresh.insert(ix);
        if !self.table[ix].demand.is_empty() {
            self.demanding.insert(ix);
        }
    }

    /// A class has no ready task.
    fn not_ready(&mut self, ix: Ix<Class>) {
        self.ready.remove(&ix);
        self.fresh.remove(&ix);
        self.demanding.remove(&ix);
    }

    /// The class has one build less.
    pub(crate) fn leave(&mut self, ix: Ix<Class>) {
        let class = &mut self.table[ix];
        class.builds -= 1;
        if class.builds == 0 {
            self.not_ready(ix);
            if let Some(class) = self.table.remove(ix)
                && let Some(of_system) = self.names.get_mut(&class.system)
                && let Some(alike) = of_system.get_mut(&class.requires)
            {
                alike.remove(&class.demand);
                if alike.is_empty() {
                    of_system.remove(&class.requires);
                }
                if of_system.is_empty() {
                    self.names.remove(&class.system);
                }
            }
        }
    }
}

impl Task {
    /// Where it is queued, if it is.
    pub(crate) fn place(&self, ix: Ix<Self>) -> Option<Place> {
        let (lane, key) = self.queued.clone()?;
        Some(Place {
            lane,
            key,
            order: self.order,
            task: ix,
        })
    }
}

impl Core {
    /// The places of a class with their turns, the first first.
    pub(crate) fn turns<'a>(&'a self, class: &'a Class) -> impl Iterator<Item = Turn<'a>> + 'a {
        let lanes = class.lanes.keys().map(|lane| (self.rank(*lane), *lane));
        let mut lanes: SmallVec<[(Rank, Lane); 4]> = lanes.collect();
        lanes.sort_unstable();
        lanes.into_iter().flat_map(move |(rank, lane)| {
            let places = class.places_of(lane);
            places.map(move |place| (rank.clone(), place))
        })
    }

    /// Moves a task to another state: its queues and the counters follow.
    pub(crate) fn set_state(&mut self, ix: Ix<Task>, state: TaskState) {
        if self.tasks[ix].state() == state {
            return;
        }
        self.unlist(ix);
        let builds = self.tasks[ix].builds.len() as u64;
        *self.counter(ix) -= builds;
        let before = self.tasks[ix].replace_state(state, self.now);
        *self.counter(ix) += builds;
        if state == TaskState::Running {
            self.leave_line(ix);
        } else if before == TaskState::Running {
            self.join_line(ix);
        }
        self.list(ix);
    }

    /// Where the builds of a task in its state are counted.
    pub(crate) fn counter(&mut self, ix: Ix<Task>) -> &mut u64 {
        match self.tasks[ix].state() {
            TaskState::Blocked => &mut self.counts.blocked,
            TaskState::Ready | TaskState::BackedOff(_) => &mut self.counts.ready,
            TaskState::Running => &mut self.counts.running,
        }
    }

    /// Puts a task into the lists of its classes in which its state belongs.
    pub(crate) fn list(&mut self, ix: Ix<Task>) {
        let queued = match self.tasks[ix].state() {
            TaskState::Ready => Some((self.lane(ix), self.order_key(ix))),
            _ => None,
        };
        let task = &mut self.tasks[ix];
        match task.state() {
            TaskState::Ready => {
                task.queued = queued;
                let place = task.place(ix);
                for class in &task.classes {
                    if let Some(place) = &place {
                        self.classes.table[*class].add(place.clone());
                    }
                    self.classes.now_ready(*class);
                }
                if let Some(Place {
                    lane: Lane::Of(group),
                    ..
                }) = place
                {
                    self.groups.arrive(group, self.now);
                }
            }
            TaskState::BackedOff(_) => {
                for class in &task.classes {
                    self.classes.table[*class].backed_off.insert(ix);
                }
            }
            TaskState::Blocked | TaskState::Running => {}
        }
    }

    /// Takes it out of them.
    pub(crate) fn unlist(&mut self, ix: Ix<Task>) {
        let task = &mut self.tasks[ix];
        if let Some(place) = task.place(ix) {
            task.queued = None;
            for class in &task.classes {
                let row = &mut self.classes.table[*class];
                row.take(&place);
                if row.ready.is_empty() {
                    self.classes.not_ready(*class);
                }
            }
            if let Lane::Of(group) = place.lane {
                self.groups.depart(group);
            }
        } else if matches!(task.state(), TaskState::BackedOff(_)) {
            for class in &task.classes {
                self.classes.table[*class].backed_off.remove(&ix);
            }
        }
    }

    /// What the policy's orders say of it now.
    fn order_key(&self, ix: Ix<Task>) -> OrderKey {
        // A task whose last build just ended is in no queue.
        self.candidate(ix)
            .map_or_else(OrderKey::default, |candidate| {
                self.config.policy.key(&candidate)
            })
    }

    /// A task as the policy sees it, unless its last build has just ended.
    pub(crate) fn candidate(&self, ix: Ix<Task>) -> Option<Candidate<'_>> {
        let task = &self.tasks[ix];
        let derivation = &self.derivations[task.derivation];
        let first = &self.builds[*task.builds.first()?];
        Some(Candidate {
            priority: self.derived(task.derivation),
            submitted_at: first.submitted_at,
            derivation: &derivation.item,
            system: &derivation.kind.system,
            tags: &first.ask.tags,
            duration: Duration::from_millis(derivation.expected_ms.into()),
            remaining: Duration::from_millis(derivation.remaining_ms.into()),
        })
    }

    /// Moves it to where its key belongs.
    pub(crate) fn requeue(&mut self, ix: Ix<Task>) {
        if self.tasks[ix].queued.is_none() {
            return;
        }
        let now = Some((self.lane(ix), self.order_key(ix)));
        if self.tasks[ix].queued != now {
            self.unlist(ix);
            self.list(ix);
        }
    }

    /// An agent has come, or offers something else: tasks that are backed off, but not for it, are
    /// not any more.
    pub(crate) fn wake_backed_off(&mut self, agent: Ix<Agent>) {
        let agent_generation = self.agents.generation(agent);
        let row = &self.agents[agent];
        for (class, content) in self.classes.table.iter() {
            if !content.backed_off.is_empty() && content.fits(row) {
                self.work.push_back(Work::Wake {
                    class,
                    generation: self.classes.table.generation(class),
                    agent,
                    agent_generation,
                    after: None,
                });
            }
        }
    }

    /// Wakes some of a class; returns behind which to go on, if there may be more.
    pub(crate) fn wake_some(
        &mut self,
        class: Ix<Class>,
        agent: Ix<Agent>,
        mut after: Option<Ix<Task>>,
        slice: usize,
    ) -> Option<Ix<Task>> {
        loop {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let backed_off = &self.classes.table[class].backed_off;
            let task = *backed_off.range((from, Bound::Unbounded)).next()?;
            after = Some(task);
            self.edges += 1;
            if !self.is_avoided(task, agent) {
                self.set_state(task, TaskState::Ready);
            }
            if self.edges >= slice {
                return after;
            }
        }
    }

    /// Whether the agent had a setup failure of the task a moment ago.
    pub(crate) fn is_avoided(&self, task: Ix<Task>, agent: Ix<Agent>) -> bool {
        let generation = self.agents.generation(agent);
        let counts = |entry: &Avoided| {
            entry.agent == agent && entry.generation == generation && entry.until > self.now
        };
        self.tasks[task].avoided().iter().any(counts)
    }
}
