//! The farm: all nodes, and what happens to them.

use std::collections::{BTreeMap, BTreeSet};

use crate::agenda::Agenda;
use crate::agent::Agent;
use crate::clients::Clients;
use crate::coordinator::Coordinators;
use crate::dice::Dice;
use crate::disk::Disk;
use crate::event::Event;
use crate::invariants::{Audit, look};
use crate::network::Network;
use crate::outcome::Counts;
use crate::scenario::Scenario;
use crate::store::Store;
use crate::time::Moment;
use crate::trace::Trace;
use crate::violation::Violation;
use grange_model::{AgentRecord, BuildId, Digest, Item, Record, Tags};

/// How often everything is looked at, in events.
const FULL_CHECK: u64 = 1_000;

#[derive(Debug)]
pub(crate) struct Farm {
    pub(crate) scenario: Scenario,
    pub(crate) now: Moment,
    pub(crate) agenda: Agenda<Event>,
    pub(crate) dice: Dice,
    pub(crate) network: Network,
    pub(crate) store: Store,
    pub(crate) disk: Disk,
    pub(crate) coordinators: Coordinators,
    pub(crate) agents: Vec<Agent>,
    pub(crate) clients: Clients,
    pub(crate) audit: Audit,
    pub(crate) trace: Trace,
    pub(crate) counts: Counts,
    pub(crate) healed: bool,
    /// All outputs of all derivations.
    pub(crate) items: BTreeMap<Digest, Item>,
    /// Outputs that were deleted after all was healed, for an operator whose wish had been under way.
    pub(crate) late_prunes: BTreeSet<Digest>,
    /// Builds that have ended at least once.
    pub(crate) ended: BTreeSet<BuildId>,
}

impl Farm {
    pub(crate) fn new(scenario: Scenario, lines: bool) -> Self {
        let dice = Dice::new(scenario.seed);
        let derivations = scenario.graph.iter().cloned().map(Record::Derivation);
        let agents = scenario.agents.iter().map(|plan| {
            Record::Agent(AgentRecord {
                id: plan.id,
                name: format!("agent {}", plan.id),
                tags: Tags::new(),
                passwords: Vec::new(),
                paused: false,
                created_at: grange_model::Timestamp(0),
            })
        });
        let plans = scenario.agents.iter().enumerate();
        let outputs = scenario.graph.iter().flat_map(|it| &it.outputs);
        let items = outputs.map(|output| (output.item.digest, output.item.clone()));
        let items = items.collect();
        let mut farm = Self {
            now: Moment(0),
            agenda: Agenda::new(),
            network: Network::new(dice.apart(1), scenario.weather, scenario.agents.len()),
            store: Store::of(derivations.chain(agents)),
            disk: Disk::default(),
            coordinators: Coordinators::new(dice.apart(2)),
            agents: plans
                .map(|(at, plan)| Agent::new(plan.clone(), dice.apart(100 + at as u64)))
                .collect(),
            clients: Clients::default(),
            audit: Audit::new(),
            trace: Trace::new(lines),
            counts: Counts::default(),
            healed: false,
            items,
            late_prunes: BTreeSet::new(),
            ended: BTreeSet::new(),
            dice: dice.apart(3),
            scenario,
        };
        farm.prepare();
        farm
    }

    fn prepare(&mut self) {
        self.agenda.put(Moment(0), Event::StartCoordinator);
        for at in 0..self.agents.len() {
            let moment = Moment(self.dice.below(2_000_000));
            self.agenda.put(moment, Event::StartAgent(at));
        }
        for (at, (moment, _)) in self.scenario.actions.iter().enumerate() {
            self.agenda.put(*moment, Event::Act(at));
        }
        for (at, (moment, _)) in self.scenario.faults.iter().enumerate() {
            self.agenda.put(*moment, Event::Fail(at));
        }
        self.agenda.put(self.scenario.heal_at, Event::Heal);
    }

    /// Lets happen what happens next; whether anything did.
    pub(crate) fn step(&mut self) -> Result<bool, Violation> {
        let Some((at, event)) = self.agenda.next() else {
            return Ok(false);
        };
        self.now = self.now.max(at);
        self.counts.events += 1;
        self.trace.fold(self.now.0);
        self.happen(event)?;
        if self.counts.events.is_multiple_of(FULL_CHECK) {
            self.check_all()?;
        }
        Ok(true)
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Act(at) => self.act(at),
            Event::Fail(at) => self.fail(at)?,
            Event::Heal => self.heal(),
            Event::AskAll => self.ask_all(),
            Event::Arrive(call_id, call) => self.arrive(call_id, call)?,
            Event::Return(call_id, answer) => self.returned(call_id, answer),
            Event::GiveUp(call_id) => self.give_up(call_id),
            Event::StartCoordinator => self.start_coordinator()?,
            Event::Wake(instance) => self.wake(instance)?,
            Event::Write(instance) => self.write(instance)?,
            Event::Written(instance, seq) => self.written(instance, seq)?,
            Event::Found(instance, lookup, keys, found) => {
                self.found(instance, lookup, &keys, found)?;
            }
            Event::Verified(instance, call, attempt, claim) => {
                self.verified(instance, call, attempt, claim)?;
            }
            Event::Follow(instance) => self.follow(instance)?,
            Event::StartAgent(at) => self.start_agent(at),
            Event::WakeAgent(at, life) => self.wake_agent(at, life),
            Event::Step(at, life, attempt, serial, step) => {
                self.agent_step(at, life, attempt, serial, step);
            }
        }
        Ok(())
    }

    /// Looks at everything.
    pub(crate) fn check_all(&mut self) -> Result<(), Violation> {
        let look = look(&self.store, &self.disk, &self.scenario);
        match self.coordinators.front() {
            Some(front) => self
                .audit
                .full(self.now, look, &front.core, front.is_settled()),
            None => Ok(()),
        }
    }
}
