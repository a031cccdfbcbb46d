//! Doing what an agent's core says.

use grange_agent_core::{Effect, Ending, Exchange, Input, Phase};
use grange_coordinator_core::{self as coordinator, AttemptPhase};
use grange_model::{AttemptId, FailureKind, SetupProblem};

use super::life::{End, Made, Purpose, Run, StepEnd};
use crate::disk::Content;
use crate::event::Event;
use crate::farm::Farm;
use crate::message::{Call, Claim};

/// How long a shell sleeps at most, in microseconds: the clock may have been set meanwhile.
const NAP: u64 = 60_000_000;
/// How long an agent waits for an answer to what is no exchange.
const PATIENCE: u64 = 30_000_000;

impl Farm {
    pub(crate) fn tell_agent(&mut self, at: usize, input: Input) {
        let agent = &mut self.agents[at];
        let now = agent.clock.read(self.now);
        if let Some(core) = &mut agent.core {
            core.handle(now, input);
        }
        self.drive_agent(at);
    }

    pub(crate) fn wake_agent(&mut self, at: usize, life: u64) {
        let asleep = self.agents[at].asleep_until;
        if asleep > self.now {
            self.agenda.put(asleep, Event::WakeAgent(at, life));
            return;
        }
        let now = self.now;
        let agent = &mut self.agents[at];
        if agent.life != life || agent.wakes.is_none_or(|wakes| wakes > now) {
            return;
        }
        agent.wakes = None;
        let shown = agent.clock.read(now);
        if let Some(core) = &mut agent.core {
            core.handle_timeout(shown);
        }
        self.drive_agent(at);
    }

    pub(crate) fn drive_agent(&mut self, at: usize) {
        while let Some(effect) = self.agents[at]
            .core
            .as_mut()
            .and_then(|core| core.poll_effect())
        {
            self.do_effect(at, effect);
        }
        let (now, agent) = (self.now, &mut self.agents[at]);
        let Some(wanted) = agent.core.as_ref().and_then(|core| core.poll_timeout()) else {
            return;
        };
        let wakes = agent.clock.when(now, wanted).min(now.plus(NAP));
        if agent.wakes.is_none_or(|earlier| earlier > wakes) {
            agent.wakes = Some(wakes);
            let life = agent.life;
            self.agenda.put(wakes, Event::WakeAgent(at, life));
        }
    }

    fn do_effect(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Exchange(exchange) => self.exchange(at, exchange),
            Effect::Prepare(assignment) => {
                let agent = &mut self.agents[at];
                let known = agent.known.get(&assignment.attempt);
                // What was under way for it before counts no more.
                let before = agent
                    .runs
                    .get(&assignment.attempt)
                    .map_or(0, |run| run.serial);
                if let Some(known) = known.cloned() {
                    let run = Run {
                        assignment: known,
                        serial: before.max(agent.number),
                        end: None,
                    };
                    agent.runs.insert(assignment.attempt, run);
                }
                let Some((serial, derivation)) = self.begin(at, assignment.attempt) else {
                    return;
                };
                let purpose = Purpose::Inputs(assignment.attempt, serial);
                self.agent_calls(at, purpose, Call::Inputs(derivation));
            }
            Effect::Build(attempt) => {
                let most = self.agents[at].plan.build_ms * 1_000;
                let time = self.agents[at].dice.between(most / 5, most * 3);
                self.later(at, attempt, time, StepEnd::Built);
            }
            Effect::Upload(attempt) => {
                let time = self.agents[at].dice.between(100, 50_000);
                self.later(at, attempt, time, StepEnd::Spooled);
            }
            Effect::Report(attempt) => self.report(at, attempt),
            Effect::Close { attempt, ending } => {
                self.counts.dropped += u64::from(ending == Ending::Dropped);
                let time = self.agents[at].dice.between(100, 50_000);
                self.later(at, attempt, time, StepEnd::Closed);
            }
            Effect::End(_) => {}
        }
    }

    /// Begins something for an attempt; what it was begun as, and what the attempt is of.
    fn begin(&mut self, at: usize, attempt: AttemptId) -> Option<(u64, grange_model::Digest)> {
        let run = self.agents[at].runs.get_mut(&attempt)?;
        run.serial += 1;
        Some((run.serial, run.assignment.derivation.digest))
    }

    fn later(&mut self, at: usize, attempt: AttemptId, time: u64, end: StepEnd) {
        let serial = self.begin(at, attempt).map_or(0, |(serial, _)| serial);
        let life = self.agents[at].life;
        let step = Event::Step(at, life, attempt, serial, end);
        self.agenda.put(self.now.plus(time), step);
    }

    pub(super) fn agent_calls(&mut self, at: usize, purpose: Purpose, call: Call) {
        let id = self.call_id(at, purpose);
        self.call(id, call);
        // An exchange that is not answered is the core's concern.
        if !matches!(purpose, Purpose::Exchange(_)) {
            self.agenda.put(self.now.plus(PATIENCE), Event::GiveUp(id));
        }
    }

    /// The whole truth, to the coordinator. An exchange that is under way is void.
    fn exchange(&mut self, at: usize, exchange: Exchange) {
        if let Some(number) = self.agents[at].exchange.take()
            && self.agents[at].calls.remove(&number).is_some()
        {
            let id = self.call_id(at, Purpose::Exchange(0));
            self.agents[at].calls.remove(&id.number);
            self.call(id, Call::HangUp(number));
        }
        let phase = |phase| match phase {
            Phase::Preparing => AttemptPhase::Preparing,
            Phase::Building => AttemptPhase::Building,
            Phase::Uploading => AttemptPhase::Uploading,
        };
        let held = exchange.held.iter();
        let said = coordinator::Exchange {
            agent: self.agents[at].plan.id,
            session: exchange.session,
            revision: exchange.revision,
            capacity: self.agents[at].plan.capacity.clone(),
            health: grange_coordinator_core::Health::default(),
            attempts: held.map(|(attempt, now)| (*attempt, phase(*now))).collect(),
            wait_ms: u64::try_from(exchange.wait.as_millis()).unwrap_or(u64::MAX),
        };
        let purpose = Purpose::Exchange(exchange.revision);
        self.agent_calls(at, purpose, Call::Exchange(Box::new(said)));
        self.agents[at].exchange = Some(self.agents[at].number);
    }

    fn report(&mut self, at: usize, attempt: AttemptId) {
        let Some((serial, _)) = self.begin(at, attempt) else {
            return;
        };
        let claim = match &self.agents[at].runs[&attempt].end {
            Some(End::Made(Made::Outputs(_, hashes))) => Claim::Succeeded(hashes.clone()),
            Some(End::Made(Made::Nothing(kind))) => Claim::Failed(kind.clone()),
            Some(End::Setup(problem)) => Claim::SetupFailed(problem.clone()),
            None => Claim::SetupFailed(SetupProblem::Other),
        };
        self.agent_calls(
            at,
            Purpose::Report(attempt, serial),
            Call::Report(attempt, claim),
        );
        self.slander(at);
    }

    /// An agent that lies says now and then that what another one tries has failed.
    fn slander(&mut self, at: usize) {
        let lies = self.agents[at].plan.lies;
        let others = self.agents.iter().enumerate();
        let mut others = others.filter(|(other, _)| *other != at);
        let tried = others.find_map(|(_, other)| other.runs.keys().next().copied());
        if let Some(attempt) = tried
            && self.agents[at].dice.per_mille(lies)
        {
            let id = self.call_id(at, Purpose::Report(attempt, 0));
            self.agents[at].calls.remove(&id.number);
            self.call(
                id,
                Call::Report(attempt, Claim::Failed(FailureKind::Exit(9))),
            );
        }
    }

    pub(crate) fn agent_step(
        &mut self,
        at: usize,
        life: u64,
        attempt: AttemptId,
        serial: u64,
        step: StepEnd,
    ) {
        let asleep = self.agents[at].asleep_until;
        if asleep > self.now {
            let event = Event::Step(at, life, attempt, serial, step);
            self.agenda.put(asleep, event);
            return;
        }
        if self.agents[at].life != life {
            return;
        }
        if let StepEnd::Closed = step {
            self.agents[at].runs.remove(&attempt);
            self.agents[at].spool.remove(&attempt);
            self.tell_agent(at, Input::Closed(attempt));
            let agent = &mut self.agents[at];
            let mut held = agent.core.iter().flat_map(|core| core.held());
            if held.all(|(held, _)| held != attempt) {
                drop(held);
                agent.known.remove(&attempt);
            }
            return;
        }
        let run = self.agents[at].runs.get(&attempt);
        if run.is_none_or(|run| run.serial != serial) {
            return;
        }
        self.trace.fold(serial);
        match step {
            StepEnd::Prepared => self.tell_agent(at, Input::Prepared(attempt)),
            StepEnd::Built => self.built(at, attempt),
            StepEnd::Spooled => self.spooled(at, attempt),
            StepEnd::Closed => {}
        }
    }

    fn built(&mut self, at: usize, attempt: AttemptId) {
        let Some(run) = self.agents[at].runs.get(&attempt) else {
            return;
        };
        let digest = run.assignment.derivation.digest;
        let Some(record) = self.store.derivation(digest) else {
            return;
        };
        let agent = &mut self.agents[at];
        let made = if self.scenario.failing.contains(&digest) {
            Made::Nothing(FailureKind::Exit(1))
        } else {
            let pieces = agent.dice.between(1, 5);
            let contents = record.outputs.iter().enumerate().map(|(place, output)| {
                if output.item.name.starts_with('f') {
                    Content::fixed(output.item.digest)
                } else {
                    let inputs = record.inputs.iter().map(|input| input.output);
                    Content::made(attempt, place, pieces, inputs.step_by(2))
                }
            });
            let mut contents: Vec<_> = contents.collect();
            let mut hashes: Vec<_> = contents.iter().map(Content::nar_hash).collect();
            if agent.dice.per_mille(agent.plan.lies)
                && let Some(place) = agent.dice.index(contents.len())
            {
                // It sends something else, or says something else.
                match agent.dice.below(3) {
                    0 => hashes[place].0[0] ^= 1,
                    1 => contents[place].0[0] ^= 1,
                    _ => hashes.truncate(place),
                }
            }
            Made::Outputs(contents, hashes)
        };
        if let Some(run) = agent.runs.get_mut(&attempt) {
            run.end = Some(End::Made(made));
        }
        self.counts.built += 1;
        self.tell_agent(at, Input::Finished(attempt));
    }
}
