//! What the core keeps in memory: everything unfinished, and what that touches.

use std::collections::BTreeSet;
use std::sync::Arc;

use grange_model::{
    AgentRecord, AttemptId, AttemptRecord, AttemptSummary, BuildId, Digest, Item, LostCause,
    LostReason, Resources, SessionId, SetupFailure, Tags, Timestamp,
};
use smallvec::SmallVec;

use crate::ask::Ask;
use crate::backlog::Line;
use crate::few::Few;
use crate::io::{AttemptPhase, Capacity, Health, Ticket};
use crate::kind::Kind;
use crate::policy::OrderKey;
use crate::priority::Levels;
use crate::queue::Class;
use crate::remaining::Standing;
use crate::share::Lane;
use crate::slab::{Content, Ix};
use crate::users::Users;

/// A derivation with unfinished builds.
#[derive(Debug)]
pub(crate) struct Derivation {
    pub(crate) item: Item,
    pub(crate) kind: Arc<Kind>,
    pub(crate) outputs: SmallVec<[Ix<Output>; 2]>,
    /// Distinct, sorted.
    pub(crate) inputs: Box<[Ix<Output>]>,
    pub(crate) tasks: Few<Ix<Task>>,
    /// The priorities of its builds, but for implicit ones.
    pub(crate) own: Levels,
    /// The derived priority that its inputs know of.
    pub(crate) announced: i32,
    /// Its inputs are about to hear of another.
    pub(crate) announcing: bool,
    /// Implicit builds were made for its untried inputs.
    pub(crate) complete: bool,
    /// A request is under way that finds out what became of its inputs.
    pub(crate) rechecking: bool,
    /// How sure `remaining_ms` is.
    pub(crate) standing: Standing,
    /// Milliseconds that it is expected to take, at speed 1; 49 days at most.
    pub(crate) expected_ms: u32,
    /// The same, and of those that need it, the longest way to the end; only where an order goes by it.
    pub(crate) remaining_ms: u32,
    /// None for nearly all.
    pub(crate) odd: Option<Box<Odd>>,
}

/// What is said of few derivations.
#[derive(Debug, Default)]
pub(crate) struct Odd {
    /// What the items of its outputs are called, where that is not as usual; else nothing.
    pub(crate) names: Box<[String]>,
    /// The derivations of inputs that others know as outputs of other derivations.
    pub(crate) named: Box<[(Ix<Output>, Digest)]>,
    /// One of its tasks has failed, and others go on.
    pub(crate) failed: Option<Lost>,
}

impl Derivation {
    /// The derivations of inputs that others know as outputs of other derivations.
    pub(crate) fn named(&self) -> &[(Ix<Output>, Digest)] {
        self.odd.as_ref().map_or(&[], |odd| &odd.named)
    }
}

/// How a derivation's inputs stand, as far as it has heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// How many are expected.
    pub(crate) expected: u32,
    /// How many are lost.
    pub(crate) lost: u32,
}

/// Who needs an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// How many of its users have unfinished builds.
    pub(crate) live: u32,
    /// How many have none any more.
    pub(crate) stale: u32,
    /// Changes that have not reached every user yet.
    pub(crate) pending: u32,
    /// Whether its presence says so.
    pub(crate) available: bool,
}

impl Content for Derivation {
    type Hot = Inputs;
}

impl Content for Output {
    type Hot = Uses;
}

impl Content for Task {
    type Hot = ();
}

impl Content for Build {
    type Hot = ();
}

impl Content for Attempt {
    type Hot = ();
}

impl Content for Agent {
    type Hot = ();
}

/// What is known of an output beyond the unfinished builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nobody has looked it up since the core was started.
    Unknown,
    /// It lies here.
    Available,
    /// Others have it, and it does not lie here. What an attempt brings goes before it.
    Upstream,
    /// Others have it, and nobody has looked up whether it lies here, too.
    Somewhere,
    Absent,
}

impl Presence {
    /// Whether it is known where it lies, if anywhere.
    pub(crate) fn is_sure(self) -> bool {
        !matches!(self, Self::Unknown | Self::Somewhere)
    }

    /// Whether it can be fetched.
    pub(crate) fn is_available(self) -> bool {
        matches!(self, Self::Available | Self::Upstream | Self::Somewhere)
    }
}

/// What the derivations that need an output go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// As far as is known, nobody has tried; or nobody has looked it up.
    Untried,
    /// An unfinished build may bring it.
    Expected,
    /// It will not come.
    Lost,
    /// It can be fetched.
    Available,
}

/// An output that an unfinished build makes or needs.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) digest: Digest,
    pub(crate) presence: Presence,
    /// The derivation that it was named with first.
    pub(crate) maker: Option<Digest>,
    /// It was named with several.
    pub(crate) ambiguous: bool,
    /// Derivations with unfinished builds that may bring it.
    pub(crate) producers: Few<Ix<Derivation>>,
    /// Derivations that need it: those with unfinished builds, and stale ones, which are told by the generation.
    pub(crate) users: Users,
    /// The announced priorities of the derivations that need it; empty while it is available.
    pub(crate) priorities: Levels,
    /// None for nearly all.
    pub(crate) odd: Option<Box<OddOutput>>,
}

/// What is said of few outputs.
#[derive(Debug, Default)]
pub(crate) struct OddOutput {
    /// Derivations that make it, but wait for it themselves.
    pub(crate) waiting: Few<Ix<Derivation>>,
    pub(crate) lost: Option<Lost>,
}

impl Output {
    /// Derivations that make it, but wait for it themselves.
    pub(crate) fn waiting(&self) -> &[Ix<Derivation>] {
        self.odd.as_ref().map_or(&[], |odd| &odd.waiting)
    }

    pub(crate) fn lost(&self) -> Option<&Lost> {
        self.odd.as_ref()?.lost.as_ref()
    }

    /// Why it will not come, or that it may.
    pub(crate) fn set_lost(&mut self, lost: Option<Lost>) {
        if lost.is_some() || self.odd.is_some() {
            self.odd.get_or_insert_default().lost = lost;
            self.drop_odd_if_empty();
        }
    }

    /// A derivation makes it, but waits for it itself.
    pub(crate) fn add_waiting(&mut self, derivation: Ix<Derivation>) {
        self.odd.get_or_insert_default().waiting.push(derivation);
    }

    /// A derivation makes it no more.
    pub(crate) fn remove_maker(&mut self, derivation: Ix<Derivation>) {
        self.producers.retain(|producer| *producer != derivation);
        if let Some(odd) = &mut self.odd {
            odd.waiting.retain(|producer| *producer != derivation);
            self.drop_odd_if_empty();
        }
    }

    fn drop_odd_if_empty(&mut self) {
        self.odd
            .take_if(|odd| odd.lost.is_none() && odd.waiting.is_empty());
    }
}

/// Why an output will not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) derivation: Item,
    pub(crate) reason: LostReason,
    pub(crate) build: BuildId,
    pub(crate) root: BuildId,
    pub(crate) root_derivation: Item,
}

impl Lost {
    pub(crate) fn cause(&self, output: Digest) -> LostCause {
        LostCause {
            output,
            derivation: self.derivation.clone(),
            reason: self.reason,
            build: self.build,
            root: self.root,
            root_derivation: self.root_derivation.clone(),
        }
    }
}

/// What ends together: all builds of a derivation that share attempts, or one that asked for an
/// attempt of its own.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) derivation: Ix<Derivation>,
    pub(crate) again: bool,
    pub(crate) builds: Few<Ix<Build>>,
    /// Where it stands, but for a moment.
    pub(crate) stage: Stage,
    /// Its place among tasks of the same priority.
    pub(crate) order: u64,
    /// Since when it has been ready, or until when it is backed off.
    pub(crate) moment: Timestamp,
    /// The classes of its builds.
    pub(crate) classes: Few<Ix<Class>>,
    /// Where it is counted among what there is to do, unless it runs.
    pub(crate) line: Option<Ix<Line>>,
    /// Under what it is queued, while it is ready.
    pub(crate) queued: Option<(Lane, OrderKey)>,
    /// None as long as there was no attempt.
    pub(crate) tries: Option<Box<Tries>>,
}

/// A task's attempts, and what came of those that did not end it.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// Those that are under way, or were until their leases ran out.
    pub(crate) attempts: Few<Ix<Attempt>>,
    pub(crate) past: Vec<AttemptSummary>,
    /// Agents that had a setup failure, how often, and until when they get no attempt of it.
    pub(crate) avoided: Vec<Avoided>,
    /// The most of everything that any of its builds ever asked for, and of memory what was not enough and some more.
    pub(crate) asked: Resources,
}

impl Task {
    pub(crate) fn state(&self) -> TaskState {
        match self.stage {
            Stage::Blocked => TaskState::Blocked,
            Stage::Ready => TaskState::Ready,
            Stage::BackedOff => TaskState::BackedOff(self.moment),
            Stage::Running => TaskState::Running,
        }
    }

    /// Moves it to another state; returns the one before.
    pub(crate) fn replace_state(&mut self, state: TaskState, now: Timestamp) -> TaskState {
        let before = self.state();
        self.stage = match state {
            TaskState::Blocked => Stage::Blocked,
            TaskState::Ready => {
                self.moment = now;
                Stage::Ready
            }
            TaskState::BackedOff(until) => {
                self.moment = until;
                Stage::BackedOff
            }
            TaskState::Running => Stage::Running,
        };
        before
    }

    pub(crate) fn tries_mut(&mut self) -> &mut Tries {
        self.tries.get_or_insert_default()
    }

    /// Its attempts that are under way, or were until their leases ran out.
    pub(crate) fn attempts(&self) -> &[Ix<Attempt>] {
        self.tries.as_ref().map_or(&[], |tries| &tries.attempts)
    }

    pub(crate) fn past(&self) -> &[AttemptSummary] {
        self.tries.as_ref().map_or(&[], |tries| &tries.past)
    }

    pub(crate) fn avoided(&self) -> &[Avoided] {
        self.tries.as_ref().map_or(&[], |tries| &tries.avoided)
    }

    /// Every agent may try again.
    pub(crate) fn forgive(&mut self) {
        if let Some(tries) = &mut self.tries {
            tries.avoided.clear();
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Avoided {
    pub(crate) agent: Ix<Agent>,
    /// Tells the agent from one that got its row later.
    pub(crate) generation: u32,
    pub(crate) failures: u32,
    pub(crate) until: Timestamp,
}

/// A [`TaskState`] whose moment lies elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Blocked,
    Ready,
    BackedOff,
    Running,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// An input is expected.
    Blocked,
    /// It is in the queues of its classes.
    Ready,
    /// It is ready, but every agent that could take it had a setup failure.
    BackedOff(Timestamp),
    /// At least one attempt is under way.
    Running,
}

/// An unfinished build.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) id: BuildId,
    pub(crate) submitted_at: Timestamp,
    pub(crate) ask: Arc<Ask>,
    /// None for nearly all.
    pub(crate) setup_failures: Option<Box<SetupFailures>>,
    pub(crate) task: Ix<Task>,
    pub(crate) class: Ix<Class>,
    pub(crate) priority: i32,
    pub(crate) implicit: bool,
    pub(crate) rebuild: bool,
}

/// The last setup failure of each agent that had one.
#[derive(Debug, Default)]
pub(crate) struct SetupFailures(pub(crate) Vec<SetupFailure>);

impl Build {
    pub(crate) fn setup_failures(&self) -> &[SetupFailure] {
        self.setup_failures.as_ref().map_or(&[], |all| &all.0)
    }
}

/// An attempt that an agent holds, or held before its lease ran out.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) record: AttemptRecord,
    pub(crate) task: Ix<Task>,
    pub(crate) agent: Ix<Agent>,
    pub(crate) phase: AttemptPhase,
    /// What it uses up of its agent.
    pub(crate) needs: Resources,
    /// Whose share it counts in.
    pub(crate) lane: Lane,
    /// How fast its agent said to be when it began, in thousandths.
    pub(crate) speed: u32,
    pub(crate) expired: bool,
}

/// An agent that may connect.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) record: AgentRecord,
    pub(crate) capacity: Capacity,
    pub(crate) session: Option<SessionId>,
    pub(crate) revision: u64,
    pub(crate) health: Health,
    pub(crate) seen_at: Option<Timestamp>,
    pub(crate) lease_until: Option<Timestamp>,
    pub(crate) attempts: BTreeSet<Ix<Attempt>>,
    /// How many of them only send what they made.
    pub(crate) uploading: u32,
    /// What the others use up.
    pub(crate) used: Resources,
    /// The class that it is kept free for, and the generation of its row.
    pub(crate) reserved: Option<(Ix<Class>, u32)>,
    pub(crate) waiting: Option<Waiting>,
}

/// An exchange that waits for something to do.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) ticket: Ticket,
    pub(crate) until: Timestamp,
    pub(crate) assign: Vec<Ix<Attempt>>,
    pub(crate) drop: Vec<AttemptId>,
}

impl Agent {
    pub(crate) fn new(record: AgentRecord) -> Self {
        Self {
            record,
            capacity: Capacity::default(),
            session: None,
            revision: 0,
            health: Health::default(),
            seen_at: None,
            lease_until: None,
            attempts: BTreeSet::new(),
            uploading: 0,
            used: Resources::new(),
            reserved: None,
            waiting: None,
        }
    }

    /// How fast it is, in thousandths; at most a million times as fast as others.
    pub(crate) fn speed(&self) -> u32 {
        match self.capacity.speed {
            0 => 1_000,
            speed => speed.min(1_000_000_000),
        }
    }

    /// Whether it was heard of within its lease.
    pub(crate) fn is_present(&self) -> bool {
        self.lease_until.is_some() && self.session.is_some()
    }

    /// Whether it can take builds of this system that require this.
    pub(crate) fn takes(&self, system: &str, requires: &Tags) -> bool {
        let offers = |(key, value): (&String, &String)| self.offer(key) == Some(value);
        let Capacity {
            systems, exclusive, ..
        } = &self.capacity;
        systems.iter().any(|one| one == system)
            && requires.iter().all(offers)
            && exclusive.iter().all(|key| requires.contains_key(key))
    }

    /// Everything that it offers: what it says itself and what the operator says, who has the last
    /// word.
    pub(crate) fn offer(&self, key: &str) -> Option<&String> {
        self.record
            .tags
            .get(key)
            .or_else(|| self.capacity.tags.get(key))
    }
}

/// A table that is asked for one key at a time and never walked, so that its order cannot matter.
#[expect(
    clippy::disallowed_types,
    reason = "the hasher is fixed, and nothing walks the table"
)]
pub(crate) type Index<K, V> = std::collections::HashMap<K, V, foldhash::fast::FixedState>;
