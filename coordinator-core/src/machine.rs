//! The machine: what is handed in, and what comes out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use grange_model::{Digest, Fact, Key, Record, Timestamp};

use crate::ask::Ask;
use crate::backlog::Backlog;
use crate::config::Config;
use crate::history::History;
use crate::identifiers::Identifiers;
use crate::io::{Effect, Input, LookupId, Reply, Ticket, TimerReason};
use crate::kind::Kind;
use crate::ledger::Ledger;
use crate::load::Start;
use crate::local::Local;
use crate::names::Names;
use crate::queue::Classes;
use crate::recent::Recent;
use crate::remaining::Remaining;
use crate::request::Request;
use crate::share::Groups;
use crate::shared::Shared;
use crate::slab::{Ix, Slab};
use crate::tables::{Agent, Attempt, Build, Derivation, Output, Presence, Task};
use crate::view::StateCounts;
use crate::work::Work;

/// The coordinator's state and everything that it decides.
#[derive(Debug)]
pub struct Core {
    pub(crate) config: Config,
    pub(crate) start: Start,
    pub(crate) now: Timestamp,
    pub(crate) ledger: Ledger,
    pub(crate) derivations: Slab<Derivation>,
    pub(crate) outputs: Slab<Output>,
    pub(crate) tasks: Slab<Task>,
    pub(crate) builds: Slab<Build>,
    pub(crate) attempts: Slab<Attempt>,
    pub(crate) agents: Slab<Agent>,
    pub(crate) names: Names,
    pub(crate) classes: Classes,
    pub(crate) groups: Groups,
    pub(crate) asks: Shared<Ask>,
    pub(crate) kinds: Shared<Kind>,
    pub(crate) recent: Recent,
    pub(crate) requests: BTreeMap<LookupId, Request>,
    pub(crate) work: VecDeque<Work>,
    /// How many edges of the graph the present slice has touched.
    pub(crate) edges: usize,
    pub(crate) counts: StateCounts,
    /// How many outputs are made by several derivations, or said to be.
    pub(crate) ambiguous: usize,
    /// Agents whose exchange waits.
    pub(crate) waiting: BTreeSet<Ix<Agent>>,
    /// Agents that have more room than when they were looked at last.
    pub(crate) roomy: BTreeSet<Ix<Agent>>,
    /// Agents whose waiting exchange has something to say.
    pub(crate) to_answer: BTreeSet<Ix<Agent>>,
    pub(crate) timers: BTreeSet<(Timestamp, TimerReason, u32)>,
    /// What builds have taken so far.
    pub(crate) history: History,
    /// Which agents have what.
    pub(crate) local: Local,
    /// How much there is to do.
    pub(crate) backlog: Backlog,
    /// What remains to be done after each derivation.
    pub(crate) remaining: Remaining,
    pub(crate) identifiers: Identifiers,
    pub(crate) next_lookup: u64,
    pub(crate) next_order: u64,
}

impl Core {
    /// An empty one. Live records, if there are any, are taken over by a [`Loading`](crate::Loading).
    #[must_use]
    pub fn new(config: Config, start: Start) -> Self {
        let ledger = Ledger::new(start.seq, start.fact);
        #[cfg(grange_bugs)]
        let ledger = ledger.with_bug(config.bug);
        let remaining = Remaining::new(config.policy.needs_remaining());
        let placement = config.policy.placement.as_ref();
        let local = Local::new(placement.is_some_and(|it| it.needs_local_bytes()));
        Self {
            config,
            now: Timestamp::default(),
            ledger,
            derivations: Slab::new(),
            outputs: Slab::new(),
            tasks: Slab::new(),
            builds: Slab::new(),
            attempts: Slab::new(),
            agents: Slab::new(),
            names: Names::default(),
            classes: Classes::new(),
            groups: Groups::new(),
            asks: Shared::default(),
            kinds: Shared::default(),
            recent: Recent::default(),
            requests: BTreeMap::new(),
            work: VecDeque::new(),
            edges: 0,
            counts: StateCounts::default(),
            ambiguous: 0,
            waiting: BTreeSet::new(),
            roomy: BTreeSet::new(),
            to_answer: BTreeSet::new(),
            timers: BTreeSet::new(),
            history: History::default(),
            local,
            backlog: Backlog::new(),
            remaining,
            identifiers: Identifiers::new(start.seed),
            next_lookup: 0,
            next_order: 0,
            start,
        }
    }

    /// Takes what happened. Never fails: a refusal is a reply like any other. `now` is clamped where
    /// it runs backwards.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.advance(now);
        match input {
            Input::Submit { ticket, builds } => self.submit(ticket, builds),
            Input::Cancel { ticket, builds } => self.cancel(ticket, &builds),
            Input::Store { ticket, records } => self.store(ticket, records),
            Input::Prune { ticket, outputs } => self.prune(ticket, outputs),
            Input::GoneUpstream { ticket, outputs } => self.gone_upstream(ticket, outputs),
            Input::Exchange { ticket, exchange } => self.exchange(ticket, exchange),
            Input::Report {
                ticket,
                agent,
                attempt,
                report,
            } => {
                self.report(ticket, agent, attempt, report);
            }
            Input::Agent {
                ticket,
                agent,
                change,
            } => self.change_agent(ticket, agent, change),
            Input::Hook {
                ticket,
                record,
                builds,
                reopen,
            } => {
                self.hook_done(ticket, record, builds, reopen);
            }
            Input::ImportHistory { ticket, records } => self.import_history(ticket, records),
            Input::Forget { ticket } => self.forget(ticket),
            Input::Found { lookup, records } => self.found(lookup, records),
            Input::Committed { seq } => {
                self.ledger.acknowledge(seq);
                self.forget_recent();
            }
        }
        self.settle();
    }

    /// The next thing to do, if there is one.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.ledger.poll(self.now)
    }

    /// When [`Core::handle_timeout`] wants to be called, and why. A call that comes too early or too
    /// often does nothing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Timestamp, TimerReason)> {
        if !self.work.is_empty() {
            return Some((self.now, TimerReason::Work));
        }
        self.timers.first().map(|(at, reason, _)| (*at, *reason))
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.advance(now);
        while let Some(&(at, reason, row)) = self.timers.first() {
            if at > self.now {
                break;
            }
            self.timers.pop_first();
            match reason {
                TimerReason::Lease => self.lease_ended(row),
                TimerReason::Wait => self.wait_ended(row),
                TimerReason::Backoff => self.backoff_ended(row),
                TimerReason::History => self.work.push_back(Work::History),
                TimerReason::Remaining => self.remaining_due(row),
                TimerReason::Work | TimerReason::Urgent => {}
            }
        }
        self.settle();
    }

    #[cfg(grange_bugs)]
    pub(crate) fn has_bug(&self, bug: crate::Bug) -> bool {
        self.config.bug == Some(bug)
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// Does a slice of the work that was put off, then gives agents what is ready.
    fn settle(&mut self) {
        self.do_work();
        self.allocate();
        self.answer_waiting();
    }

    /// Keeps what was uploaded, or is available upstream. An item may be an output that somebody waits
    /// for, or that is just being built.
    fn store(&mut self, ticket: Ticket, records: Vec<Record>) {
        for record in records {
            let (output, presence) = match record.key() {
                Key::Item(output) => (output, Presence::Available),
                Key::Upstream(output) => (output, Presence::Upstream),
                _ => {
                    self.ledger.put(record);
                    continue;
                }
            };
            self.ledger.put(record);
            let node = self.find_output(output);
            let live = node.map(|ix| self.outputs[ix].presence);
            let presence = match live.or_else(|| self.recent.presence(output)) {
                // What others have says nothing about what lies here.
                Some(Presence::Available) => continue,
                Some(Presence::Absent | Presence::Upstream) => presence,
                // Counter-example: it was uploaded, the coordinator was started anew, and then others were found to
                // have it. If it counted as theirs alone, what an attempt brings would replace it.
                _ if presence == Presence::Upstream => Presence::Somewhere,
                _ => presence,
            };
            let upcoming = self.ledger.upcoming();
            self.recent.output(upcoming, output, presence);
            self.ledger.fact(Fact::Available { output });
            self.item_arrived(output, presence);
        }
        self.ledger.reply(ticket, Reply::Done);
    }

    fn item_arrived(&mut self, output: Digest, presence: Presence) {
        let Some(ix) = self.find_output(output) else {
            return;
        };
        self.output_is_available(ix, presence);
        let makers: Vec<_> = self.outputs[ix].makers().collect();
        for maker in makers {
            self.end_superfluous(maker);
        }
    }

    fn forget(&mut self, ticket: Ticket) {
        let waits = |agent: &&Ix<Agent>| {
            let waiting = self.agents[**agent].waiting.as_ref();
            waiting.is_some_and(|wait| wait.ticket == ticket)
        };
        let found = self.waiting.iter().find(waits).copied();
        if let Some(ix) = found {
            self.take_waiting(ix);
        }
    }

    pub(crate) fn forget_recent(&mut self) {
        let committed = self.ledger.committed();
        let oldest = self.requests.values().map(|request| request.as_of).min();
        self.recent
            .forget(oldest.map_or(committed, |oldest| oldest.min(committed)));
    }
}
