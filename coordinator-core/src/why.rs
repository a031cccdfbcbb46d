//! Why a build stands where it stands.
//!
//! What is counted is counted up to a limit, so that an answer takes a millisecond or two whatever there is.

use grange_model::{AgentId, BuildId, BuildState, Item, Timestamp};

use crate::machine::Core;
use crate::queue::{Class, Turn};
use crate::share::Lane;
use crate::slab::Ix;
use crate::tables::{Agent, Build, Derivation, Index, Task, TaskState};

/// How many things of a kind are named.
const NAMED: usize = 20;

/// How many edges of the graph are followed.
const EDGES: usize = 50_000;

/// How many builds are counted that come first.
const COUNTED: usize = 100_000;

/// Why a build stands where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It is not among the unfinished ones.
    NotUnfinished,
    /// Derivations must bring inputs first.
    Blocked(Box<Blocked>),
    /// It could be given to somebody, and nobody has room for it.
    Queued(Box<Queued>),
    /// No agent that is present could take it.
    NobodyOffers {
        /// What is missing, in words.
        missing: Vec<String>,
    },
    /// Every agent that could take it had a setup failure.
    BackedOff {
        /// When it is tried again.
        until: Timestamp,
    },
    /// It is under way.
    Running,
}

/// What a build waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    /// How many inputs are expected.
    pub inputs: u32,
    /// Derivations that are to bring them, at most 20.
    pub waits_for: Vec<Item>,
    /// Unfinished derivations that it needs, directly or not, that wait for others.
    pub blocked: u64,
    /// Those that could be given to somebody.
    pub ready: u64,
    /// Those that are under way.
    pub running: u64,
    /// Whether that is all of them; else it was looked no further.
    pub complete: bool,
    /// Those that wait for no other, at most 20: first what nobody can take, then what had setup failures, then what is ready,
    /// then what is under way.
    pub roots: Vec<Root>,
}

/// What others wait for, and that waits for no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// What is to be built.
    pub derivation: Item,
    /// The first build of it.
    pub build: BuildId,
    /// Where it stands.
    pub state: BuildState,
    /// Why it does not go on, in words; empty if it only waits for its turn, or runs.
    pub problems: Vec<String>,
}

/// Why nobody has got a build yet that could be given to somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// How many builds come before it that the same agents can take, as far as was counted; where agents are shared, only those
    /// of its own group.
    pub before: u64,
    /// The group in whose share it counts, from the outermost in: `science/alice`.
    pub group: Option<String>,
    /// How many groups, or queues of urgent builds, come before its own just now.
    pub groups_before: u64,
    /// Whether these are all.
    pub counted: bool,
    /// The derived priority of the first of them, if there is one.
    pub first_priority: Option<i32>,
    /// How many agents that are present could take it.
    pub fitting: u64,
    /// How many of these are paused.
    pub paused: u64,
    /// How many have no room: they build as many at once as they can.
    pub full: u64,
    /// How many had a setup failure of it a moment ago.
    pub avoided: u64,
    /// How many do not want anything new just now, and why, in words; at most 20 are named.
    pub pressed: Vec<(AgentId, Vec<String>)>,
    /// Agents that have room, but not enough left of something, at most 20.
    pub short: Vec<Short>,
    /// How many are kept free for something larger that comes before it.
    pub kept: u64,
    /// The agent that is kept free for the first of its queue.
    pub reserved: Option<AgentId>,
}

/// What an agent has too little of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// Which agent.
    pub agent: AgentId,
    /// Of what: `cores`, `memory` in bytes, `disk` in bytes, or a token.
    pub resource: String,
    /// How much the build needs.
    pub needs: u64,
    /// How much is left.
    pub left: u64,
}

impl Core {
    /// Why a build stands where it stands.
    #[must_use]
    pub fn why(&self, id: BuildId) -> Why {
        let Some(&ix) = self.names.builds.get(&id) else {
            return Why::NotUnfinished;
        };
        let build = &self.builds[ix];
        let task = &self.tasks[build.task];
        match task.state() {
            TaskState::Blocked => Why::Blocked(Box::new(self.why_blocked(task.derivation))),
            TaskState::Running => Why::Running,
            TaskState::BackedOff(until) => Why::BackedOff { until },
            TaskState::Ready => self.why_queued(build),
        }
    }

    fn why_blocked(&self, ix: Ix<Derivation>) -> Blocked {
        let mut waits_for: Vec<_> = self
            .expected_of(ix)
            .map(|ix| self.derivations[ix].item.clone())
            .collect();
        waits_for.sort();
        waits_for.dedup();
        waits_for.truncate(NAMED);
        let mut blocked = Blocked {
            inputs: self.derivations.hot(ix).expected,
            waits_for,
            complete: true,
            ..Blocked::default()
        };
        let (mut stuck, mut others) = (Vec::new(), Vec::new());
        let mut seen: Index<u32, ()> = Index::default();
        let mut ahead = vec![ix];
        let mut edges = 0;
        while let Some(ix) = ahead.pop() {
            if edges > EDGES {
                blocked.complete = false;
                break;
            }
            edges += 1 + self.derivations[ix].inputs.len();
            for producer in self.expected_of(ix) {
                if seen.insert(producer.0, ()).is_some() {
                    continue;
                }
                let Some(task) = self.foremost(producer) else {
                    continue;
                };
                match self.tasks[task].state() {
                    TaskState::Blocked => {
                        blocked.blocked += 1;
                        ahead.push(producer);
                    }
                    TaskState::Running => {
                        blocked.running += 1;
                        if others.len() < NAMED {
                            others.push((1, producer, task));
                        }
                    }
                    TaskState::Ready | TaskState::BackedOff(_) => {
                        blocked.ready += 1;
                        let is_stuck = !self.problems(task).is_empty();
                        let list = if is_stuck { &mut stuck } else { &mut others };
                        if list.len() < NAMED {
                            list.push((0, producer, task));
                        }
                    }
                }
            }
        }
        others.sort_by_key(|(running, ..)| *running);
        let roots = stuck.into_iter().chain(others).take(NAMED);
        let roots = roots.filter_map(|(_, ix, task)| self.root(ix, task));
        blocked.roots = roots.collect();
        blocked
    }

    fn root(&self, ix: Ix<Derivation>, task: Ix<Task>) -> Option<Root> {
        let first = self.tasks[task].builds.first()?;
        Some(Root {
            derivation: self.derivations[ix].item.clone(),
            build: self.id_of(*first),
            state: self.state_of(task),
            problems: self.problems(task),
        })
    }

    /// The derivations that are to bring what a derivation waits for.
    fn expected_of(&self, ix: Ix<Derivation>) -> impl Iterator<Item = Ix<Derivation>> + '_ {
        let inputs = self.derivations[ix].inputs.iter();
        let nodes = inputs.map(|input| &self.outputs[*input]);
        let expected = nodes.filter(|node| node.is_expected());
        expected.filter_map(|node| node.producers.first().copied())
    }

    /// The task of a derivation that is furthest.
    pub(crate) fn foremost(&self, ix: Ix<Derivation>) -> Option<Ix<Task>> {
        let tasks = self.derivations[ix].tasks.iter().copied();
        tasks.min_by_key(|task| self.progress(*task))
    }

    /// The further a task is, the lower.
    fn progress(&self, task: Ix<Task>) -> u8 {
        match self.tasks[task].state() {
            TaskState::Running => 0,
            TaskState::Ready => 1,
            TaskState::BackedOff(_) => 2,
            TaskState::Blocked => 3,
        }
    }

    /// Why a task does not go on that waits for no input and does not only wait for its turn.
    fn problems(&self, task: Ix<Task>) -> Vec<String> {
        let row = &self.tasks[task];
        match row.state() {
            TaskState::BackedOff(until) => vec![format!(
                "every agent that could take it had a setup failure; tried again at {} ms",
                until.0
            )],
            TaskState::Ready => {
                let classes = row.classes.iter().map(|class| &self.classes.table[*class]);
                let mut missing = Vec::new();
                for class in classes {
                    let words = self.nobody_offers(class);
                    if words.is_empty() {
                        return Vec::new();
                    }
                    missing.extend(words);
                }
                missing
            }
            TaskState::Blocked | TaskState::Running => Vec::new(),
        }
    }

    /// What is missing, in words, if no agent that is present could take builds of a class.
    pub(crate) fn nobody_offers(&self, class: &Class) -> Vec<String> {
        self.warnings(&class.system, &[], &class.requires, &class.demand.asked)
    }

    fn why_queued(&self, build: &Build) -> Why {
        let class = &self.classes.table[build.class];
        let missing = self.nobody_offers(class);
        if !missing.is_empty() {
            return Why::NobodyOffers { missing };
        }
        let task = &self.tasks[build.task];
        let Some(place) = task.place(build.task) else {
            return Why::Running;
        };
        let rank = self.rank(place.lane);
        let turn = (rank, &place);
        let own = class.places_of(place.lane);
        let before = own
            .take_while(|other| **other < place)
            .take(COUNTED)
            .count();
        let first = class.places_of(place.lane).next();
        let first = first.filter(|first| **first < place);
        let ahead = class.lanes.keys().filter(|lane| self.rank(**lane) < turn.0);
        let agent_of = |ix: Ix<Agent>| self.agents[ix].record.id;
        let mut queued = Queued {
            before: before as u64,
            counted: before < COUNTED,
            first_priority: first.map(|first| self.derived(self.tasks[first.task].derivation)),
            group: match place.lane {
                Lane::Of(group) => Some(self.groups.path(group)),
                Lane::Urgent | Lane::Common => None,
            },
            groups_before: ahead.count() as u64,
            reserved: self.reserved_for(build.class).map(agent_of),
            ..Queued::default()
        };
        for (ix, agent) in self.agents.iter() {
            if agent.is_present() && class.fits(agent) {
                queued.fitting += 1;
                self.why_not(&mut queued, ix, &turn, build.class);
            }
        }
        Why::Queued(Box::new(queued))
    }

    /// Why an agent that could take it has not got it.
    fn why_not(&self, queued: &mut Queued, ix: Ix<Agent>, turn: &Turn<'_>, class: Ix<Class>) {
        let agent = &self.agents[ix];
        let pressure = agent.pressure();
        if agent.record.paused {
            queued.paused += 1;
        } else if self.is_avoided(turn.1.task, ix) {
            queued.avoided += 1;
        } else if !pressure.is_empty() {
            if queued.pressed.len() < NAMED {
                queued.pressed.push((agent.record.id, pressure));
            }
        } else if agent.has_no_room() {
            queued.full += 1;
        } else if self.is_kept_from(turn, class, ix) {
            queued.kept += 1;
        } else {
            let demand = &self.classes.table[class].demand;
            let left = NAMED.saturating_sub(queued.short.len());
            let short = agent.short_of(demand).map(|(resource, needs, left)| Short {
                agent: agent.record.id,
                resource: resource.to_owned(),
                needs,
                left,
            });
            queued.short.extend(short.take(left));
        }
    }
}
