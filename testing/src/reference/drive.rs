//! A core, stepped by hand: what it asks for is done at once.

use std::collections::{BTreeMap, VecDeque};

use grange_coordinator_core::{
    Config, Core, DeniedWhy, Effect, Input, Loading, LookupId, Reply, Start, Ticket, TimerReason,
};
use grange_model::{BuildId, Key, Record, Term, Timestamp};

use super::mismatch::{Mismatch, hold};
use super::store::Store;

/// So many times round, a core that has nothing to do is quiet.
const MAX_ROUNDS: usize = 100_000;

/// A core and what is durable.
#[derive(Debug)]
pub(super) struct Drive {
    pub(super) core: Core,
    pub(super) store: Store,
    config: Config,
    term: u64,
    lookups: VecDeque<(LookupId, Vec<Key>)>,
    pub(super) replies: BTreeMap<Ticket, Reply>,
    /// What submissions that were not answered ask for.
    asked: BTreeMap<Ticket, Vec<BuildId>>,
}

impl Drive {
    pub(super) fn new(config: Config) -> Self {
        Self {
            core: Core::new(config.clone(), Start::default()),
            store: Store::default(),
            config,
            term: 0,
            lookups: VecDeque::new(),
            replies: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Hands all of it in, and does what is asked for, until nothing is left to do or so many commits are durable. Whether
    /// it came to the end.
    pub(super) fn run(
        &mut self,
        now: Timestamp,
        inputs: &[Input],
        commits: Option<usize>,
    ) -> Result<bool, Mismatch> {
        for input in inputs {
            if let Input::Submit { ticket, builds } = input {
                let ids = builds.iter().map(|spec| spec.id);
                self.asked.insert(*ticket, ids.collect());
            }
            self.core.handle(now, input.clone());
            self.check()?;
        }
        self.settle(now, commits)
    }

    /// Timers are due.
    pub(super) fn wake(&mut self, now: Timestamp) -> Result<(), Mismatch> {
        self.core.handle_timeout(now);
        self.check()?;
        self.settle(now, None).map(|_| ())
    }

    /// When the core wants to be woken.
    pub(super) fn next_timer(&self) -> Option<Timestamp> {
        self.core.poll_timeout().map(|(at, _)| at)
    }

    fn settle(&mut self, now: Timestamp, commits: Option<usize>) -> Result<bool, Mismatch> {
        let mut left = commits;
        let mut commit = None;
        for _ in 0..MAX_ROUNDS {
            let mut idle = true;
            while let Some(effect) = self.core.poll_effect() {
                idle = false;
                match effect {
                    Effect::Commit { seq, batch } => {
                        hold("one commit at a time", commit.is_none(), || {
                            format!("{seq:?}")
                        })?;
                        commit = Some((seq, batch));
                    }
                    Effect::Lookup { lookup, keys } => self.lookups.push_back((lookup, keys)),
                    Effect::Reply { ticket, reply } => self.reply(ticket, reply)?,
                }
            }
            // The Datastore is slow, so that more is decided while it writes.
            if let Some((lookup, keys)) = self.lookups.pop_front() {
                let records = keys.iter().map(|key| self.store.get(key)).collect();
                self.core.handle(now, Input::Found { lookup, records });
            } else if matches!(self.core.poll_timeout(), Some((_, TimerReason::Work))) {
                self.core.handle_timeout(now);
            } else if let Some((seq, batch)) = commit.take() {
                if left == Some(0) {
                    return Ok(false);
                }
                self.store.commit(seq, &batch)?;
                left = left.map(|left| left - 1);
                if left == Some(0) {
                    return Ok(false);
                }
                self.core.handle(now, Input::Committed { seq });
            } else if idle {
                return Ok(true);
            }
            self.check()?;
        }
        Err(Mismatch::new("the core comes to rest", "it never did"))
    }

    fn reply(&mut self, ticket: Ticket, reply: Reply) -> Result<(), Mismatch> {
        if let Reply::Exchange(reply) = &reply {
            for assigned in &reply.assign {
                let key = Key::Attempt(assigned.attempt.slot);
                let durable = match self.store.records.get(&key) {
                    Some(Record::Attempt(attempt)) => attempt.id == assigned.attempt,
                    _ => false,
                };
                let name = || assigned.attempt.to_string();
                hold("what is assigned is durable", durable, name)?;
            }
        }
        if let Reply::Submitted(results) = &reply {
            let asked = self.asked.remove(&ticket).unwrap_or_default();
            for (id, result) in asked.into_iter().zip(results) {
                let rests = match result {
                    Ok(_) => true,
                    Err(denied) => denied.why == DeniedWhy::Conflict,
                };
                let durable = !rests || self.store.is_known(id);
                hold("what is answered is durable", durable, || {
                    format!("{id}: {result:?}")
                })?;
            }
        }
        let before = self.replies.insert(ticket, reply);
        hold("an answer comes once", before.is_none(), || {
            format!("{ticket:?}")
        })
    }

    fn check(&self) -> Result<(), Mismatch> {
        // A bug that is put back must be seen from outside.
        if cfg!(grange_bugs) {
            return Ok(());
        }
        let violation = self.core.check_invariants();
        violation.map_err(|it| Mismatch::new("the core's own invariants", it.to_string()))
    }

    /// Ends the core, and begins another on what is durable.
    pub(super) fn restart(&mut self, now: Timestamp) -> Result<(), Mismatch> {
        self.lookups.clear();
        self.asked.clear();
        self.term += 1;
        let start = Start {
            term: Term(self.term),
            seq: self.store.seq,
            fact: self.store.last_fact(),
            seed: self.term,
        };
        let mut loading = Loading::new(self.config.clone(), start);
        loading.extend(self.store.live());
        let (mut here, mut upstream) = (Vec::new(), Vec::new());
        for output in loading.questions() {
            match self.store.get(&Key::Item(output)) {
                Some(Record::Upstream(_)) => upstream.push(output),
                Some(_) => here.push(output),
                None => {}
            }
        }
        let loaded = loading.finish(now, &here, &upstream);
        self.core =
            loaded.map_err(|message| Mismatch::new("what is durable can be loaded", message))?;
        self.check()?;
        self.wake(now)
    }
}
