//! Who gets what first: mechanism is in the queues, choice is here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use grange_model::{AgentId, Item, Tags, Timestamp};
use smallvec::SmallVec;

use crate::io::{Capacity, Health};

/// A build that may be given to an agent. Builds of one derivation that share attempts are one
/// candidate.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The highest of its builds' priorities and of those that need it.
    pub priority: i32,
    /// When the first of its builds was submitted.
    pub submitted_at: Timestamp,
    /// What is to be built.
    pub derivation: &'a Item,
    /// What it builds on.
    pub system: &'a str,
    /// Labels of the first of its builds.
    pub tags: &'a Tags,
    /// What the builder is expected to take, at speed 1: the mean of what is predicted. In whole milliseconds, 49 days at most.
    pub duration: Duration,
    /// From its start until all has ended that needs it, as expected: its own duration and those of builds that need it, the
    /// longest way. Kept only if an order [needs it](Order::needs_remaining), and up to date but for a moment: else it is the
    /// duration.
    pub remaining: Duration,
}

/// An agent that waits and has room.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// Which.
    pub agent: AgentId,
    /// What it said that it can take.
    pub capacity: &'a Capacity,
    /// What the operator says that it offers.
    pub tags: &'a Tags,
    /// How its machine does.
    pub health: Health,
    /// How many builds it can run at once beside those that it has.
    pub room: u32,
    /// How fast it says that it is, in thousandths; 1,000 if it does not.
    pub speed: u32,
    /// How many bytes of the build's inputs it has, as far as is known: it made them, or was given a build that needs them. 0
    /// unless the placement [needs it](Placement::needs_local_bytes).
    pub local_bytes: u64,
}

/// Which of two builds comes first.
///
/// # Contract
///
/// * The key follows from the candidate and from nothing else: the same candidate has the same key,
///   whenever and however often it is asked for.
/// * It does not see what time it is, so that no queue has to be sorted again. Whoever wants builds to
///   become more urgent with time adds the time of submission to the key.
/// * Any candidate has a key: extremes must not panic.
/// * Where all keys of two builds are equal, the one that was submitted first comes first. So builds of
///   one key overtake each other never, and a build waits for as many as have lower keys. A key that
///   falls with the time of submission lets the newest go first for ever: it must not.
pub trait Order: fmt::Debug + Send + Sync {
    /// The lower, the sooner.
    fn key(&self, candidate: &Candidate<'_>) -> i64;

    /// Whether it looks at [`Candidate::remaining`].
    fn needs_remaining(&self) -> bool {
        false
    }
}

/// Which of several agents that wait gets a build.
///
/// # Contract
///
/// * What it says follows from its arguments and from nothing else.
/// * It must not panic.
pub trait Placement: fmt::Debug + Send + Sync {
    /// How well the build would sit there: the higher, the better. Of equals, the agent that has most
    /// room gets it.
    fn fit(&self, candidate: &Candidate<'_>, seat: &Seat<'_>) -> i64;

    /// Whether it looks at [`Seat::local_bytes`].
    fn needs_local_bytes(&self) -> bool {
        false
    }
}

/// The agent that has most of the build's inputs, by bytes: it fetches least.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByLocality;

impl Placement for ByLocality {
    fn fit(&self, _: &Candidate<'_>, seat: &Seat<'_>) -> i64 {
        i64::try_from(seat.local_bytes).unwrap_or(i64::MAX)
    }

    fn needs_local_bytes(&self) -> bool {
        true
    }
}

/// The fastest agent.
#[derive(Clone, Copy, Debug, Default)]
pub struct BySpeed;

impl Placement for BySpeed {
    fn fit(&self, _: &Candidate<'_>, seat: &Seat<'_>) -> i64 {
        seat.speed.into()
    }
}

/// Who shares what agents can do.
///
/// ```
/// use std::sync::Arc;
///
/// use grange_coordinator_core::{Candidate, Policy, Share};
///
/// /// What people wait for gets nine tenths, what nobody waits for the rest.
/// #[derive(Debug)]
/// struct PeopleFirst;
///
/// impl Share for PeopleFirst {
///     fn path(&self, candidate: &Candidate<'_>) -> Vec<(String, u32)> {
///         match candidate.tags.get("user") {
///             Some(user) => vec![("people".to_owned(), 9), (user.clone(), 1)],
///             None => vec![("machines".to_owned(), 1)],
///         }
///     }
/// }
///
/// let policy = Policy {
///     share: Some(Arc::new(PeopleFirst)),
///     ..Policy::default()
/// };
/// assert!(policy.urgent.is_none());
/// ```
///
/// # Contract
///
/// * The path follows from the candidate and from nothing else.
/// * It must not panic.
pub trait Share: fmt::Debug + Send + Sync {
    /// The groups that a build is for, from the outermost in, each with its weight: of two groups side by side that always
    /// have something to do, one of weight 2 gets twice as much of the agents' time as one of weight 1. A weight of 0 counts
    /// as 1. At most 1,024 groups are told apart at a time.
    fn path(&self, candidate: &Candidate<'_>) -> Vec<(String, u32)>;
}

/// Shares by tags of builds: `team`, then `user`. Who has no such tag is in a group of the others without it.
#[derive(Clone, Debug, Default)]
pub struct ByTags {
    /// Keys, from the outermost in.
    pub keys: Vec<String>,
    /// The weights of groups by their values, as in `["science", "alice"]`; those that are not named have 1.
    pub weights: BTreeMap<Vec<String>, u32>,
}

impl Share for ByTags {
    fn path(&self, candidate: &Candidate<'_>) -> Vec<(String, u32)> {
        let mut values: Vec<String> = Vec::new();
        let groups = self.keys.iter().map(|key| {
            let value = candidate.tags.get(key).cloned().unwrap_or_default();
            values.push(value.clone());
            let weight = self.weights.get(&values).copied().unwrap_or(1);
            (value, weight)
        });
        groups.collect()
    }
}

/// A choice of policy. The default: priority, then age; the agent that has most room.
///
/// Mechanism goes before policy: whatever it says, an agent gets only what it offers to take, none that
/// it had a setup failure of a moment ago, and an agent that waits is never left without a build that
/// it could take, as far as `lookahead` sees.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Compared one after the other; of equals, the one that was submitted first.
    pub order: Vec<Arc<dyn Order>>,
    /// How it is shared between groups, before the order counts. None: there is one queue for all.
    pub share: Option<Arc<dyn Share>>,
    /// From this priority on, builds go before all others, whatever their groups have had, and count in no share. None: none
    /// do.
    pub urgent: Option<i32>,
    /// How long an urgent build waits for room before the attempt is dropped for it that is not urgent itself and has run for
    /// the shortest time, of those on agents that could take it. None: it waits.
    pub preempt_after: Option<Duration>,
    /// Who gets a build for which several wait. None: whoever has most room.
    pub placement: Option<Arc<dyn Placement>>,
    /// How many builds may go before one that an agent could take, but for want of memory or something else that it uses up,
    /// until an agent is kept free for it.
    pub patience: u32,
    /// How many ready builds of a class are looked at for one that an agent may have, and how many
    /// agents for a build; at least 1. More of them cost time where many must not have it.
    pub lookahead: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            order: vec![Arc::new(ByPriority)],
            share: None,
            urgent: None,
            preempt_after: None,
            placement: None,
            patience: 32,
            lookahead: 64,
        }
    }
}

/// The highest priority first.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByPriority;

impl Order for ByPriority {
    fn key(&self, candidate: &Candidate<'_>) -> i64 {
        -i64::from(candidate.priority)
    }
}

/// The critical path: whatever has most before it first, its own duration and those of what needs it, as predicted.
///
/// Behind [`ByPriority`] it decides among builds of the same priority. What remains differs from build to build, so age hardly
/// counts; and whoever waits for others to have nothing longer may wait as long as such are submitted.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByCriticalPath;

impl Order for ByCriticalPath {
    fn key(&self, candidate: &Candidate<'_>) -> i64 {
        let remaining = i64::try_from(candidate.remaining.as_millis());
        remaining.map_or(i64::MIN, |remaining| -remaining)
    }

    fn needs_remaining(&self) -> bool {
        true
    }
}

/// What all orders say of a candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderKey(SmallVec<[i64; 2]>);

impl Policy {
    pub(crate) fn needs_remaining(&self) -> bool {
        self.order.iter().any(|order| order.needs_remaining())
    }

    pub(crate) fn key(&self, candidate: &Candidate<'_>) -> OrderKey {
        OrderKey(
            self.order
                .iter()
                .map(|order| order.key(candidate))
                .collect(),
        )
    }
}
