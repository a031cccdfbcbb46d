//! Requests for builds, as far as they have come.

use std::sync::Arc;

use grange_model::{
    BuildId, BuildSpec, DerivationRecord, Digest, FailureRecord, FinishedBuild, HookRecord, Key,
    Record, Seq,
};
use smallvec::SmallVec;

use crate::io::{Accepted, Denied, Ticket};
use crate::slab::Ix;
use crate::tables::{Derivation, Index, Presence};

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) asker: Asker,
    pub(crate) wants: Vec<Want>,
    /// What became of each of them.
    pub(crate) results: Vec<Option<Result<Accepted, Denied>>>,
    /// The derivations that it is about.
    pub(crate) roots: Index<Digest, Root>,
    /// What it reads was written by this commit or later.
    pub(crate) as_of: Seq,
    pub(crate) known: Known,
    /// Keys that were asked for.
    pub(crate) asked: Vec<Key>,
    /// Derivations to look at; those that need more come back.
    pub(crate) frontier: Vec<Digest>,
    /// All that ever were in the frontier.
    pub(crate) seen: Index<Digest, ()>,
    /// Roots that were not begun with, the last first.
    pub(crate) ahead: Vec<Digest>,
    /// The derivation that is being made, below those that wait for it.
    pub(crate) path: Vec<Step>,
    /// How often each derivation was made; [`ENOUGH`] if it must not be made again, or is just
    /// being made.
    done: Index<Digest, u8>,
    /// Derivations that got implicit builds.
    pub(crate) made: Vec<(Ix<Derivation>, u32)>,
    /// What it makes from now on is written by one commit.
    pub(crate) holds: bool,
}

/// Made so often, a derivation is left alone.
const ENOUGH: u8 = 3;

/// Whom a request is for.
#[derive(Debug)]
pub(crate) enum Asker {
    Client(Ticket),
    /// The cursor is written together with what the hook asks for.
    Hook(Ticket, HookRecord),
    /// The core itself: an agent misses inputs of this derivation.
    Recheck(Ix<Derivation>, u32),
}

/// One build that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) spec: BuildSpec,
    /// It ended as failed-dependency before, and shall go on.
    pub(crate) reopen: bool,
}

/// A derivation that a request is about.
#[derive(Debug)]
pub(crate) struct Root {
    /// Which of the wants are of it.
    pub(crate) wants: SmallVec<[usize; 1]>,
    /// What implicit builds for its inputs are like; none if there shall be none.
    pub(crate) model: Option<BuildSpec>,
    /// Its outputs are wanted even if they are available, or it has failed.
    pub(crate) again: bool,
}

/// A derivation whose inputs are made.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) digest: Digest,
    /// How often it was made before.
    before: u8,
    pub(crate) inputs: Vec<Digest>,
}

/// What a request has read.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) derivations: Index<Digest, Option<Arc<DerivationRecord>>>,
    pub(crate) failures: Index<Digest, Option<Box<FailureRecord>>>,
    pub(crate) available: Index<Digest, Presence>,
    pub(crate) finished: Index<BuildId, Option<Box<FinishedBuild>>>,
}

impl Request {
    pub(crate) fn new(asker: Asker, wants: Vec<Want>, as_of: Seq) -> Self {
        let mut roots: Index<Digest, Root> = Index::default();
        let mut order = Vec::new();
        for (at, want) in wants.iter().enumerate() {
            let digest = want.spec.derivation;
            let root = roots.entry(digest).or_insert_with(|| {
                order.push(digest);
                Root {
                    wants: SmallVec::new(),
                    model: None,
                    again: false,
                }
            });
            root.wants.push(at);
            root.again |= want.spec.again;
            if want.spec.inputs && root.model.is_none() {
                root.model = Some(want.spec.clone());
            }
        }
        order.reverse();
        Self {
            asker,
            results: wants.iter().map(|_| None).collect(),
            wants,
            roots,
            as_of,
            known: Known::default(),
            asked: Vec::new(),
            frontier: order.clone(),
            seen: order.iter().map(|digest| (*digest, ())).collect(),
            ahead: order,
            path: Vec::new(),
            done: Index::default(),
            made: Vec::new(),
            holds: false,
        }
    }

    /// Whether a derivation has still to be made before those that need it.
    pub(crate) fn is_undone(&self, digest: Digest) -> bool {
        self.done.get(&digest).is_none_or(|times| *times < ENOUGH)
    }

    /// Begins to make a derivation, unless that was done.
    pub(crate) fn enter(&mut self, digest: Digest) {
        if self.is_undone(digest) {
            let before = self.done.insert(digest, ENOUGH).unwrap_or(0);
            self.path.push(Step {
                digest,
                before,
                inputs: Vec::new(),
            });
        }
    }

    /// A derivation that was asked for by nobody is done with. If a build was made, it may end
    /// before anybody is known to need it, and then is made again.
    pub(crate) fn leave(&mut self, made: bool) {
        if let Some(step) = self.path.pop()
            && made
        {
            self.done.insert(step.digest, step.before + 1);
        }
    }

    /// What implicit builds of the derivation that is being made are like.
    pub(crate) fn model(&self) -> Option<&BuildSpec> {
        let root = self.path.first()?;
        self.roots.get(&root.digest)?.model.as_ref()
    }
}

impl Known {
    /// Whether the key is asked for the first time, as far as that is cheap to tell: most are those of items that many need.
    pub(crate) fn is_news(&mut self, key: &Key) -> bool {
        let Key::Item(digest) = key else {
            return true;
        };
        self.available.insert(*digest, Presence::Unknown).is_none()
    }

    pub(crate) fn learn(&mut self, key: Key, record: Option<Record>) {
        match (key, record) {
            (Key::Derivation(digest), Some(Record::Derivation(record))) => {
                self.derivations.insert(digest, Some(Arc::new(record)));
            }
            (Key::Derivation(digest), _) => {
                self.derivations.insert(digest, None);
            }
            (Key::Failure(digest), Some(Record::Failure(failure))) => {
                self.failures.insert(digest, Some(Box::new(failure)));
            }
            (Key::Failure(digest), _) => {
                self.failures.insert(digest, None);
            }
            (Key::Item(digest), record) => {
                let presence = match record {
                    Some(Record::Upstream(_)) => Presence::Upstream,
                    Some(_) => Presence::Available,
                    None => Presence::Absent,
                };
                self.available.insert(digest, presence);
            }
            (Key::Finished(build), Some(Record::Finished(finished))) => {
                self.finished.insert(build, Some(Box::new(finished)));
            }
            (Key::Finished(build), _) => {
                self.finished.insert(build, None);
            }
            _ => {}
        }
    }
}
