//! Runs of the coordinator: how they begin and end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use grange_coordinator_core::{Core, Loading, Start, Ticket};
use grange_model::{AttemptId, Batch, FactNumber, HookRecord, Key, Record, Seq, Term};

use super::follow::HOOK;
use crate::dice::{Dice, mix};
use crate::event::{Event, Instance};
use crate::farm::Farm;
use crate::invariants::Asked;
use crate::message::CallId;
use crate::time::{Clock, Moment};
use crate::violation::Violation;

/// All runs of the coordinator: one, or two while one does not know that another took over.
#[derive(Debug)]
pub(crate) struct Coordinators {
    pub(crate) dice: Dice,
    pub(crate) clock: Clock,
    pub(crate) runs: BTreeMap<Instance, Run>,
    pub(crate) front: Option<Instance>,
    pub(crate) stalls_until: Moment,
    pub(crate) fails_until: Moment,
    pub(crate) full_until: Moment,
    pub(crate) hook_fails_until: Moment,
    started: Instance,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) core: Core,
    pub(crate) term: Term,
    pub(crate) waiting: BTreeMap<Ticket, (Purpose, Asked)>,
    /// Exchanges that can be hung up.
    pub(crate) exchanges: BTreeMap<CallId, Ticket>,
    /// The commit that is under way.
    pub(crate) commit: Option<(Seq, Arc<Batch>)>,
    /// Attempts of which a report is being looked at.
    pub(crate) verifying: BTreeSet<AttemptId>,
    pub(crate) hook: Option<HookRecord>,
    /// The cursor that is durable.
    pub(crate) hook_durable: FactNumber,
    pub(crate) hook_busy: bool,
    pub(crate) follows: bool,
    /// When it is woken next.
    pub(crate) wakes: Option<Moment>,
    tickets: u64,
}

/// What a reply is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Call(CallId),
    Report {
        call: CallId,
        attempt: AttemptId,
        lie: bool,
    },
    Hook,
}

impl Coordinators {
    pub(crate) fn new(dice: Dice) -> Self {
        Self {
            dice,
            clock: Clock::new(0, 0),
            runs: BTreeMap::new(),
            front: None,
            stalls_until: Moment(0),
            fails_until: Moment(0),
            full_until: Moment(0),
            hook_fails_until: Moment(0),
            started: 0,
        }
    }

    /// The one that owns the store.
    pub(crate) fn front(&self) -> Option<&Run> {
        self.runs.get(&self.front?)
    }

    /// Which one hears a call: while there are two, half of them go to the earlier one.
    pub(crate) fn hears(&self, id: CallId) -> Option<Instance> {
        let early = self.runs.keys().next().copied();
        if id.number.is_multiple_of(2) {
            early
        } else {
            self.front
        }
    }
}

impl Run {
    /// Whether all that its core has decided is durable.
    pub(crate) fn is_settled(&self) -> bool {
        let exchanges = self.waiting.len() == self.exchanges.len();
        exchanges && self.commit.is_none()
    }

    pub(crate) fn ticket(&mut self, purpose: Purpose, asked: Asked) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.insert(ticket, (purpose, asked));
        ticket
    }
}

impl Farm {
    /// Another run begins, and owns the store from now on.
    pub(crate) fn start_coordinator(&mut self) -> Result<(), Violation> {
        let (term, seq) = self.store.claim();
        let start = Start {
            term,
            seq,
            fact: self.store.last_fact(),
            seed: mix(self.scenario.seed, term.0),
        };
        let now = self.coordinators.clock.read(self.now);
        let mut loading = Loading::new(self.scenario.config.clone(), start);
        loading.extend(self.store.live());
        let available: Vec<_> = loading
            .questions()
            .into_iter()
            .filter(|output| self.store.has_item(*output))
            .collect();
        let core = loading
            .finish(now, &available, &[])
            .map_err(|detail| self.violated("loads", detail))?;
        core.check_invariants()
            .map_err(|violation| self.violated("loads", violation.to_string()))?;
        let hook = match self.store.get(&Key::Hook(HOOK.to_owned())) {
            Some(Record::Hook(record)) => Some(record.clone()),
            _ => None,
        };
        let run = Run {
            core,
            term,
            waiting: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            commit: None,
            verifying: BTreeSet::new(),
            hook_durable: hook.as_ref().map_or(FactNumber(0), |hook| hook.cursor),
            hook,
            hook_busy: false,
            follows: false,
            wakes: None,
            tickets: 0,
        };
        self.coordinators.started += 1;
        let instance = self.coordinators.started;
        self.coordinators.runs.insert(instance, run);
        self.coordinators.front = Some(instance);
        self.counts.starts += 1;
        self.trace.fold(term.0);
        self.trace.say(self.now, || {
            format!("coordinator {instance} starts, {term:?}")
        });
        self.drive(instance)?;
        self.follow_soon(instance);
        Ok(())
    }

    /// A run ends as with `kill -9`: who waits sees that the connection broke.
    pub(crate) fn end_coordinator(&mut self, instance: Instance) {
        let Some(run) = self.coordinators.runs.remove(&instance) else {
            return;
        };
        if self.coordinators.front == Some(instance) {
            self.coordinators.front = None;
        }
        self.trace
            .say(self.now, || format!("coordinator {instance} ends"));
        for (purpose, _) in run.waiting.into_values() {
            if let Purpose::Call(call) | Purpose::Report { call, .. } = purpose {
                self.breaks(call);
            }
        }
    }

    /// The coordinator's machine goes down.
    pub(crate) fn crash_coordinator(&mut self, milliseconds: u64) {
        if self.coordinators.front.is_none() {
            return;
        }
        let all: Vec<_> = self.coordinators.runs.keys().copied().collect();
        for instance in all {
            self.end_coordinator(instance);
        }
        self.disk.crash(&mut self.coordinators.dice);
        let at = self.now.plus(milliseconds * 1_000);
        self.agenda.put(at, Event::StartCoordinator);
    }

    pub(crate) fn violated(&self, invariant: &'static str, detail: String) -> Violation {
        Violation {
            invariant,
            at: self.now,
            detail,
        }
    }
}
