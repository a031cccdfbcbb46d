//! How what agents can do is shared between those who ask for it.
//!
//! Groups form a tree: teams, and people in them. Each keeps how much its builds have occupied agents, in milliseconds by the
//! agents' speeds and its weight. Of the groups that have a build which an agent can take, the one goes first that has had
//! least; below it the same again. What runs counts as it runs, and from its first moment as much as a build takes at the mean, so that slots that become
//! free at once are shared, too. Whoever asks again after a pause begins where those are that had least meanwhile: nobody saves up
//! shares. This is start-time fair queuing (Goyal, Vin and Cheng, 1996), with work that is known only when it is done.

use std::collections::BTreeMap;

use grange_model::Timestamp;
use smallvec::SmallVec;

use crate::machine::Core;
use crate::slab::{Content, Ix, Slab};
use crate::tables::Task;

/// Groups that are kept at once. Who comes beyond that shares one group with all who do.
const MAX_GROUPS: usize = 1_024;

/// What a build takes as long as none has ended.
const FIRST_GUESS: i128 = 60_000;

/// Milliseconds that a group of weight 1 has had stand for so much, so that weights can divide them.
const SCALE: i128 = 1_024;

/// What those are called who come when there are too many groups.
const REST: &str = "(the rest)";

/// Who asks for builds, and may have asked others to do so.
#[derive(Debug)]
pub(crate) struct Group {
    name: String,
    parent: Option<Ix<Self>>,
    children: BTreeMap<String, Ix<Self>>,
    weight: i128,
    /// Milliseconds by thousandths of speed that its builds have had which run no more; more if it has paused.
    had: i128,
    /// The sum of the speeds of those that run, and of the moments at which they began by their speeds.
    running: i128,
    began: i128,
    /// Ready tasks and attempts.
    active: u64,
}

impl Content for Group {
    type Hot = ();
}

/// Where a group stands among others: what each on the way to it has had, from the top down. The lower, the sooner.
pub(crate) type Rank = SmallVec<[(i128, u32); 2]>;

/// All groups that have something to do, and some that had.
#[derive(Debug)]
pub(crate) struct Groups {
    table: Slab<Group>,
    top: BTreeMap<String, Ix<Group>>,
    /// Milliseconds that a build takes at the mean, the later ones counting more.
    mean: i128,
    /// Everybody begins at once: nobody is behind the others.
    pub(crate) starting: bool,
}

/// Whom a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Nobody's share counts.
    Urgent,
    /// There are no shares.
    Common,
    /// A group's.
    Of(Ix<Group>),
}

impl Groups {
    pub(crate) fn new() -> Self {
        Self {
            table: Slab::new(),
            top: BTreeMap::new(),
            mean: FIRST_GUESS,
            starting: false,
        }
    }

    /// The group at the end of a path of names and weights.
    pub(crate) fn find(&mut self, path: &[(String, u32)]) -> Ix<Group> {
        let mut at = None;
        for (name, weight) in path {
            at = Some(self.child(at, name, *weight));
        }
        at.unwrap_or_else(|| self.child(None, REST, 1))
    }

    fn child(&mut self, parent: Option<Ix<Group>>, name: &str, weight: u32) -> Ix<Group> {
        let siblings = self.siblings(parent);
        if let Some(&known) = siblings.get(name) {
            self.table[known].weight = i128::from(weight.max(1));
            return known;
        }
        if self.table.len() >= MAX_GROUPS && !self.make_room() && name != REST {
            return self.child(parent, REST, 1);
        }
        let group = self.table.insert(Group {
            name: name.to_owned(),
            parent,
            children: BTreeMap::new(),
            weight: i128::from(weight.max(1)),
            had: 0,
            running: 0,
            began: 0,
            active: 0,
        });
        self.siblings_mut(parent).insert(name.to_owned(), group);
        group
    }

    fn siblings(&self, parent: Option<Ix<Group>>) -> &BTreeMap<String, Ix<Group>> {
        parent.map_or(&self.top, |parent| &self.table[parent].children)
    }

    fn siblings_mut(&mut self, parent: Option<Ix<Group>>) -> &mut BTreeMap<String, Ix<Group>> {
        match parent {
            Some(parent) => &mut self.table[parent].children,
            None => &mut self.top,
        }
    }

    /// Forgets groups that have nothing to do and nobody below them; whether there was one.
    fn make_room(&mut self) -> bool {
        let idle = self.table.iter();
        let idle = idle.filter(|(_, group)| group.active == 0 && group.children.is_empty());
        let idle: Vec<_> = idle.map(|(ix, _)| ix).collect();
        for ix in &idle {
            if let Some(group) = self.table.remove(*ix) {
                self.siblings_mut(group.parent).remove(&group.name);
            }
        }
        !idle.is_empty()
    }

    /// What a group has had up to now.
    fn had(&self, ix: Ix<Group>, now: Timestamp) -> i128 {
        let group = &self.table[ix];
        group.had + moment(now) * group.running - group.began
    }

    /// By its weight, what a group has had and is about to have.
    fn level(&self, ix: Ix<Group>, now: Timestamp) -> i128 {
        let group = &self.table[ix];
        let had = self.had(ix, now) + self.mean * group.running;
        had * SCALE / group.weight
    }

    pub(crate) fn rank(&self, ix: Ix<Group>, now: Timestamp) -> Rank {
        let mut rank = Rank::new();
        let mut at = Some(ix);
        while let Some(group) = at {
            rank.push((self.level(group, now), group.0));
            at = self.table[group].parent;
        }
        rank.reverse();
        rank
    }

    /// Names from the top down.
    pub(crate) fn path(&self, ix: Ix<Group>) -> String {
        let mut names = Vec::new();
        let mut at = Some(ix);
        while let Some(group) = at {
            names.push(self.table[group].name.as_str());
            at = self.table[group].parent;
        }
        names.reverse();
        names.join("/")
    }

    /// A group has one thing more to do.
    pub(crate) fn arrive(&mut self, ix: Ix<Group>, now: Timestamp) {
        let mut at = Some(ix);
        while let Some(group) = at {
            if self.table[group].active == 0 && !self.starting {
                self.catch_up(group, now);
            }
            self.table[group].active += 1;
            at = self.table[group].parent;
        }
    }

    /// Who has paused begins where those are who had least meanwhile.
    fn catch_up(&mut self, ix: Ix<Group>, now: Timestamp) {
        let siblings = self.siblings(self.table[ix].parent).values();
        let busy = siblings.filter(|other| self.table[**other].active > 0);
        let by_weight = |ix: Ix<Group>| self.had(ix, now) * SCALE / self.table[ix].weight;
        let Some(least) = busy.map(|other| by_weight(*other)).min() else {
            return;
        };
        let behind = (least - by_weight(ix)).max(0);
        let group = &mut self.table[ix];
        group.had += behind * group.weight / SCALE;
    }

    /// It has one thing less to do.
    pub(crate) fn depart(&mut self, ix: Ix<Group>) {
        let mut at = Some(ix);
        while let Some(group) = at {
            let row = &mut self.table[group];
            row.active = row.active.saturating_sub(1);
            at = row.parent;
        }
    }

    /// An attempt for it has begun.
    pub(crate) fn begin(&mut self, ix: Ix<Group>, speed: u32, began: Timestamp, now: Timestamp) {
        self.arrive(ix, now);
        let speed = i128::from(speed);
        self.for_all(ix, |group| {
            group.running += speed;
            group.began += moment(began) * speed;
        });
    }

    /// An attempt for it has ended.
    pub(crate) fn end(&mut self, ix: Ix<Group>, speed: u32, began: Timestamp, now: Timestamp) {
        let took = moment(now).saturating_sub(moment(began)).max(0);
        let speed = i128::from(speed);
        self.for_all(ix, |group| {
            group.running -= speed;
            group.began -= moment(began) * speed;
            group.had += took * speed;
        });
        self.depart(ix);
        self.mean += (took - self.mean) / 16;
    }

    fn for_all(&mut self, ix: Ix<Group>, change: impl Fn(&mut Group)) {
        let mut at = Some(ix);
        while let Some(group) = at {
            let row = &mut self.table[group];
            change(row);
            at = row.parent;
        }
    }

    /// Whether nobody has anything to do.
    pub(crate) fn are_idle(&self) -> bool {
        let mut groups = self.table.iter();
        groups.all(|(_, group)| group.active == 0 && group.running == 0)
    }
}

/// Milliseconds, as can be calculated with.
fn moment(at: Timestamp) -> i128 {
    i128::from(at.0)
}

impl Core {
    /// Whom a task is for.
    pub(crate) fn lane(&mut self, ix: Ix<Task>) -> Lane {
        let policy = &self.config.policy;
        if policy.urgent.is_none() && policy.share.is_none() {
            return Lane::Common;
        }
        let (urgent, share) = (policy.urgent, policy.share.clone());
        let Some(candidate) = self.candidate(ix) else {
            return Lane::Common;
        };
        if urgent.is_some_and(|from| candidate.priority >= from) {
            return Lane::Urgent;
        }
        let Some(share) = share else {
            return Lane::Common;
        };
        let path = share.path(&candidate);
        Lane::Of(self.groups.find(&path))
    }

    /// Where a lane stands among others now.
    pub(crate) fn rank(&self, lane: Lane) -> Rank {
        match lane {
            // Before all groups, and before all others where there are none.
            Lane::Urgent => Rank::new(),
            Lane::Common => SmallVec::from_slice(&[(0, 0)]),
            Lane::Of(group) => self.groups.rank(group, self.now),
        }
    }
}
