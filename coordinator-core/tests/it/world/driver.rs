//! A core, stepped by hand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use grange_coordinator_core::{
    Config, Core, Effect, Input, Loading, LookupId, Reply, Start, Ticket, TimerReason,
};
use grange_model::{Batch, Key, Record, Seq, Term, Timestamp};

use super::history::History;
use super::names::Drv;

/// A core, what it was promised and what it has promised. What it asks for is done when the test
/// says so, or at once by [`World::settle`].
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) config: Config,
    pub(crate) history: History,
    pub(crate) now: Timestamp,
    pub(crate) term: u64,
    pub(crate) commit: Option<(Seq, Arc<Batch>)>,
    pub(crate) lookups: VecDeque<(LookupId, Vec<Key>)>,
    pub(crate) replies: BTreeMap<Ticket, Reply>,
    /// A digest of all that came out.
    pub(crate) trace: u64,
    next_ticket: u64,
    pub(super) revision: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self {
            core: Core::new(config.clone(), Start::default()),
            config,
            history: History::default(),
            now: Timestamp(1_000_000),
            term: 0,
            commit: None,
            lookups: VecDeque::new(),
            replies: BTreeMap::new(),
            trace: 0xcbf2_9ce4_8422_2325,
            next_ticket: 0,
            revision: 0,
        }
    }

    /// A farm that has these derivations.
    pub(crate) fn of(derivations: &[Drv]) -> Self {
        let mut world = Self::new();
        world.store(derivations);
        world
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.core.handle(self.now, input);
        self.check();
    }

    pub(crate) fn check(&self) {
        if let Err(violation) = self.core.check_invariants() {
            panic!("{violation}");
        }
    }

    /// Takes what the core has to say; returns whether there was anything.
    pub(crate) fn poll(&mut self) -> bool {
        let mut any = false;
        while let Some(effect) = self.core.poll_effect() {
            any = true;
            for byte in format!("{effect:?}").bytes() {
                // FNV-1a: what differs anywhere differs in the end.
                self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            match effect {
                Effect::Commit { seq, batch } => {
                    assert!(self.commit.is_none(), "two commits at once");
                    self.commit = Some((seq, batch));
                }
                Effect::Lookup { lookup, keys } => {
                    assert!(!keys.is_empty(), "a lookup of nothing");
                    self.lookups.push_back((lookup, keys));
                }
                Effect::Reply { ticket, reply } => {
                    self.check_reply(&reply);
                    let before = self.replies.insert(ticket, reply);
                    assert!(before.is_none(), "{ticket:?} is answered twice");
                }
            }
        }
        any
    }

    /// What is acknowledged must be durable.
    fn check_reply(&self, reply: &Reply) {
        if let Reply::Exchange(reply) = reply {
            for assignment in &reply.assign {
                let known = self.history.attempts.contains(&assignment.attempt);
                assert!(known, "{} is not durable", assignment.attempt);
            }
        }
    }

    pub(crate) fn write_commit(&mut self) {
        if let Some((seq, batch)) = self.commit.take() {
            self.history.commit(seq, &batch);
            self.input(Input::Committed { seq });
        }
    }

    pub(crate) fn answer_lookup(&mut self) -> bool {
        let Some((lookup, keys)) = self.lookups.pop_front() else {
            return false;
        };
        let records = keys.iter().map(|key| self.history.get(key)).collect();
        self.input(Input::Found { lookup, records });
        true
    }

    /// Does all that the core asks for, and lets it do what it has put off.
    pub(crate) fn settle(&mut self) {
        loop {
            let polled = self.poll();
            let committed = self.commit.is_some();
            self.write_commit();
            let found = self.answer_lookup();
            let works = matches!(self.core.poll_timeout(), Some((_, TimerReason::Work)));
            if works {
                self.core.handle_timeout(self.now);
                self.check();
            }
            if !(polled || committed || found || works) {
                return;
            }
        }
    }

    /// Lets time pass, with all timers on the way.
    pub(crate) fn pass(&mut self, milliseconds: u64) {
        let end = Timestamp(self.now.0 + milliseconds);
        self.settle();
        while let Some((at, _)) = self.core.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            self.check();
            self.settle();
        }
        self.now = end;
        self.core.handle_timeout(self.now);
        self.settle();
    }

    pub(crate) fn ask(&mut self, input: impl FnOnce(Ticket) -> Input) -> Option<Reply> {
        let ticket = self.ticket();
        self.input(input(ticket));
        self.settle();
        self.replies.remove(&ticket)
    }

    /// Ends the core, and starts another on what is written.
    pub(crate) fn restart(&mut self) {
        self.commit = None;
        self.lookups.clear();
        self.replies.clear();
        self.term += 1;
        let start = Start {
            term: Term(self.term),
            seq: self.history.seq,
            fact: self.history.last_fact(),
            seed: self.term,
        };
        let mut loading = Loading::new(self.config.clone(), start);
        loading.extend(self.history.live());
        let (mut available, mut upstream) = (Vec::new(), Vec::new());
        for output in loading.questions() {
            match self.history.get(&Key::Item(output)) {
                Some(Record::Upstream(_)) => upstream.push(output),
                Some(_) => available.push(output),
                None => {}
            }
        }
        self.core = loading.finish(self.now, &available, &upstream).unwrap();
        self.check();
    }
}
