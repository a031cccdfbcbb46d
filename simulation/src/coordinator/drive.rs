//! Doing what the core says.

use grange_coordinator_core::{DeniedWhy, Effect, Input, LookupId, Reply, Ticket, TimerReason};
use grange_model::{Key, Record, Seq, encode};

use super::run::{Purpose, Run};
use crate::event::{Event, Instance};
use crate::farm::Farm;
use crate::invariants::{Asked, Commit, look};
use crate::message::Answer;
use crate::store::Written;
use crate::violation::Violation;

/// How long a shell sleeps at most, in microseconds: the clock may have been set meanwhile.
const NAP: u64 = 60_000_000;
/// How long it takes until the core is given time for work that it put off.
const TURN: u64 = 20;

impl Farm {
    pub(crate) fn run(&mut self, instance: Instance) -> Option<&mut Run> {
        self.coordinators.runs.get_mut(&instance)
    }

    /// Hands something in.
    pub(crate) fn tell(&mut self, instance: Instance, input: Input) -> Result<(), Violation> {
        let now = self.coordinators.clock.read(self.now);
        if let Some(run) = self.run(instance) {
            run.core.handle(now, input);
        }
        self.drive(instance)
    }

    pub(crate) fn wake(&mut self, instance: Instance) -> Result<(), Violation> {
        let (at, now) = (self.now, self.coordinators.clock.read(self.now));
        let Some(run) = self.run(instance) else {
            return Ok(());
        };
        if run.wakes.is_none_or(|wakes| wakes > at) {
            return Ok(());
        }
        run.wakes = None;
        run.core.handle_timeout(now);
        self.drive(instance)
    }

    pub(crate) fn drive(&mut self, instance: Instance) -> Result<(), Violation> {
        while let Some(effect) = self.run(instance).and_then(|run| run.core.poll_effect()) {
            match effect {
                Effect::Commit { seq, batch } => {
                    let bytes = encode(&*batch)
                        .map_err(|error| self.violated("order", error.to_string()))?;
                    self.trace.fold(seq.0);
                    self.trace.fold_bytes(&bytes);
                    let at = self.now.plus(self.commit_time());
                    if let Some(run) = self.run(instance) {
                        run.commit = Some((seq, batch));
                    }
                    self.agenda.put(at, Event::Write(instance));
                }
                Effect::Lookup { lookup, keys } => self.look_up(instance, lookup, keys),
                Effect::Reply { ticket, reply } => self.reply(instance, ticket, reply)?,
            }
        }
        self.sleep(instance);
        Ok(())
    }

    fn commit_time(&mut self) -> u64 {
        let plan = self.scenario.store;
        let stalls = self.coordinators.stalls_until.0.saturating_sub(self.now.0);
        plan.commit_us + self.coordinators.dice.below(plan.jitter_us) + stalls
    }

    /// Wakes the core when it wants to be woken.
    fn sleep(&mut self, instance: Instance) {
        let now = self.now;
        let Self { coordinators, .. } = self;
        let Some(run) = coordinators.runs.get_mut(&instance) else {
            return;
        };
        let Some((at, reason)) = run.core.poll_timeout() else {
            return;
        };
        let at = match reason {
            TimerReason::Work => now.plus(TURN),
            _ => coordinators.clock.when(now, at).min(now.plus(NAP)),
        };
        if run.wakes.is_none_or(|wakes| wakes > at) {
            run.wakes = Some(at);
            self.agenda.put(at, Event::Wake(instance));
        }
    }

    /// Reads now, or when the answer is given: a store may do either.
    fn look_up(&mut self, instance: Instance, lookup: LookupId, keys: Vec<Key>) {
        let stalls = self.coordinators.stalls_until.0.saturating_sub(self.now.0);
        let dice = &mut self.coordinators.dice;
        let at = self.now.plus(stalls + dice.between(10, 20_000));
        let found = dice.one_in(2).then(|| self.read(&keys));
        self.agenda
            .put(at, Event::Found(instance, lookup, keys, found));
    }

    fn read(&self, keys: &[Key]) -> Vec<Option<Record>> {
        keys.iter()
            .map(|key| self.store.get(key).cloned())
            .collect()
    }

    pub(crate) fn found(
        &mut self,
        instance: Instance,
        lookup: LookupId,
        keys: &[Key],
        found: Option<Vec<Option<Record>>>,
    ) -> Result<(), Violation> {
        let failing = self.coordinators.fails_until > self.now;
        let failures = self.scenario.store.failures;
        if failing || self.coordinators.dice.per_mille(failures) {
            // It could not be read: the shell tries again.
            let at = self
                .now
                .plus(self.coordinators.dice.between(10_000, 500_000));
            let again = Event::Found(instance, lookup, keys.to_vec(), None);
            self.agenda.put(at, again);
            return Ok(());
        }
        let records = found.unwrap_or_else(|| self.read(keys));
        self.tell(instance, Input::Found { lookup, records })
    }

    /// The commit that is under way reaches the disk, or not.
    pub(crate) fn write(&mut self, instance: Instance) -> Result<(), Violation> {
        let failures = self.scenario.store.failures;
        let failing = self.coordinators.fails_until > self.now;
        let Self { coordinators, .. } = self;
        let Some(run) = coordinators.runs.get(&instance) else {
            return Ok(());
        };
        let Some((seq, batch)) = run.commit.clone() else {
            return Ok(());
        };
        let term = run.term;
        let fails = failing || coordinators.dice.per_mille(failures);
        let lost = fails && coordinators.dice.one_in(2);
        let again = self.now.plus(coordinators.dice.between(10_000, 500_000));
        if !lost {
            match self.store.would(term, seq) {
                Written::Now => {
                    let commit = Commit {
                        term,
                        seq,
                        batch: &batch,
                    };
                    let seen = look(&self.store, &self.disk, &self.scenario);
                    self.audit.before(self.now, seen, commit)?;
                    self.store.write(term, seq, &batch);
                    let seen = look(&self.store, &self.disk, &self.scenario);
                    self.audit.after(self.now, seen, commit)?;
                    self.count(&batch);
                }
                Written::Before => {}
                Written::Fenced => {
                    self.trace
                        .say(self.now, || format!("coordinator {instance} is fenced"));
                    self.end_coordinator(instance);
                    return Ok(());
                }
                Written::Gap => {
                    return Err(self.violated("order", format!("{seq:?} does not follow")));
                }
            }
        }
        if fails {
            self.agenda.put(again, Event::Write(instance));
        } else {
            let at = self.now.plus(self.coordinators.dice.between(5, 2_000));
            self.agenda.put(at, Event::Written(instance, seq));
        }
        Ok(())
    }

    pub(crate) fn written(&mut self, instance: Instance, seq: Seq) -> Result<(), Violation> {
        let Some(run) = self.run(instance) else {
            return Ok(());
        };
        if run.commit.as_ref().is_none_or(|(commit, _)| *commit != seq) {
            return Ok(());
        }
        run.commit = None;
        self.tell(instance, Input::Committed { seq })?;
        self.follow_soon(instance);
        Ok(())
    }

    fn reply(&mut self, instance: Instance, ticket: Ticket, reply: Reply) -> Result<(), Violation> {
        let waiting = self
            .run(instance)
            .and_then(|run| run.waiting.remove(&ticket));
        let Some((purpose, asked)) = waiting else {
            return Ok(());
        };
        let seen = look(&self.store, &self.disk, &self.scenario);
        self.audit.replied(self.now, seen, &asked, &reply)?;
        self.trace.fold(ticket.0);
        match purpose {
            Purpose::Call(call) => {
                if let Some(run) = self.run(instance) {
                    run.exchanges.remove(&call);
                }
                self.answer(call, Answer::Core(reply));
            }
            Purpose::Report { call, attempt, lie } => {
                if let Some(run) = self.run(instance) {
                    run.verifying.remove(&attempt);
                }
                let answer = match reply {
                    Reply::Denied(denied) if denied.why != DeniedWhy::Wrong => Answer::Void,
                    Reply::Done if lie => Answer::Lie,
                    other => Answer::Core(other),
                };
                self.answer(call, answer);
            }
            Purpose::Hook => self.hook_done(instance),
        }
        Ok(())
    }

    /// Asks the core on somebody's behalf.
    pub(crate) fn request(
        &mut self,
        instance: Instance,
        purpose: Purpose,
        asked: Asked,
        input: impl FnOnce(Ticket) -> Input,
    ) -> Result<(), Violation> {
        let Some(run) = self.run(instance) else {
            return Ok(());
        };
        let ticket = run.ticket(purpose, asked);
        self.tell(instance, input(ticket))
    }
}
