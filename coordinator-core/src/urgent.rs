//! Urgent builds for which something else has to go.

use grange_model::{AttemptOutcome, Fact, Occasion};

use crate::io::{AttemptPhase, TimerReason};
use crate::machine::Core;
use crate::queue::{Class, Place};
use crate::share::Lane;
use crate::slab::Ix;
use crate::tables::Attempt;

impl Core {
    /// Drops attempts for urgent builds that have waited long enough for room.
    pub(crate) fn preempt(&mut self) {
        let Some(after) = self.config.policy.preempt_after else {
            return;
        };
        let has_urgent = |class: &&Ix<Class>| {
            let row = &self.classes.table[**class];
            row.lanes.contains_key(&Lane::Urgent)
        };
        for class in self
            .classes
            .ready
            .iter()
            .filter(has_urgent)
            .copied()
            .collect::<Vec<_>>()
        {
            while let Some(place) = self.first_urgent(class) {
                let due = self.tasks[place.task].moment.after(after);
                if due > self.now {
                    self.timers.insert((due, TimerReason::Urgent, 0));
                    break;
                }
                let Some(victim) = self.cheapest(class, &place) else {
                    break;
                };
                self.drop_for(victim, class, &place);
            }
        }
    }

    fn first_urgent(&self, class: Ix<Class>) -> Option<Place> {
        let row = self.classes.table.get(class)?;
        row.places_of(Lane::Urgent).next().cloned()
    }

    /// The attempt that costs least of those that may be dropped for a task: the one that began last.
    fn cheapest(&self, class: Ix<Class>, place: &Place) -> Option<Ix<Attempt>> {
        let row = &self.classes.table[class];
        let turn = (self.rank(place.lane), place);
        let may_go = |attempt: &Attempt| {
            let agent = &self.agents[attempt.agent];
            // One that only sends what it made takes no room.
            let counts = !attempt.expired && attempt.phase != AttemptPhase::Uploading;
            counts
                && attempt.lane != Lane::Urgent
                && !self.is_urgent(attempt)
                && agent.waiting.is_some()
                && !agent.record.paused
                && !agent.is_pressed()
                && row.fits(agent)
                && agent.would_afford(&row.demand, &attempt.needs)
                && self.may_have(&turn, class, attempt.agent)
        };
        let attempts = self.attempts.iter().filter(|(_, attempt)| may_go(attempt));
        let cheapest = attempts.max_by_key(|(ix, attempt)| (attempt.record.assigned_at, *ix));
        cheapest.map(|(ix, _)| ix)
    }

    /// Whether it is urgent meanwhile.
    fn is_urgent(&self, attempt: &Attempt) -> bool {
        let derivation = self.tasks[attempt.task].derivation;
        let from = self.config.policy.urgent;
        from.is_some_and(|from| self.derived(derivation) >= from)
    }

    fn drop_for(&mut self, victim: Ix<Attempt>, class: Ix<Class>, place: &Place) {
        let row = &self.attempts[victim];
        let (agent, task, dropped) = (row.agent, row.task, row.record.id);
        self.ledger.fact(Fact::Preempted {
            attempt: dropped,
            derivation: row.record.derivation,
            agent: row.record.agent,
        });
        let summary = self.summary(victim, AttemptOutcome::Dropped);
        self.add_past(task, summary);
        self.drop_attempt(victim, true);
        self.give(place, class, agent, Occasion::Preempted { dropped });
        self.settle_task(task);
    }
}
