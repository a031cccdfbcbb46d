//! Who gets what.
//!
//! An agent that asks gets the best task of all classes that fit it; a task that becomes ready goes
//! to the waiting agent that the policy chooses. Nothing is planned ahead, so nothing is planned anew.

use std::collections::BTreeSet;

use grange_model::{AttemptId, AttemptRecord, Choice, Fact, Occasion, Record, Resources};
use smallvec::SmallVec;

use crate::io::AttemptPhase;
use crate::machine::Core;
use crate::policy::Seat;
use crate::queue::{Class, Place, Turn};
use crate::share::Lane;
use crate::slab::Ix;
use crate::tables::{Agent, Attempt, TaskState};

/// How many attempts an agent may get beside those it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Room {
    /// That it can run at once.
    now: u32,
    /// That it can prepare.
    ahead: u32,
}

impl Agent {
    /// How much room it has, as to how many it has already; none if it has too many.
    fn room(&self) -> Option<Room> {
        let all = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        let busy = all.saturating_sub(self.uploading);
        let (parallel, ahead) = (self.capacity.parallel, self.capacity.ahead);
        // A slow uplink must not let finished outputs pile up on the agent.
        let most = parallel
            .saturating_add(ahead)
            .saturating_mul(2)
            .saturating_add(2);
        if all >= most {
            return None;
        }
        let now = parallel.saturating_sub(busy);
        let ahead = parallel.saturating_add(ahead).saturating_sub(busy);
        let ahead = ahead.saturating_sub(now);
        (now + ahead > 0).then_some(Room { now, ahead })
    }

    pub(crate) fn has_no_room(&self) -> bool {
        self.room().is_none()
    }
}

/// A class that got ready tasks, and who waits for them.
#[derive(Debug)]
struct Offer {
    class: Ix<Class>,
    /// Waiting agents that fit, the one with most room last.
    agents: BTreeSet<(Room, Ix<Agent>)>,
}

impl Core {
    /// Gives waiting agents that have got room what there is, and what has become ready to waiting
    /// agents.
    pub(crate) fn allocate(&mut self) {
        while let Some(agent) = self.roomy.pop_first() {
            if self.agents.get(agent).is_some() {
                self.fill(agent);
            }
        }
        let fresh = std::mem::take(&mut self.classes.fresh);
        let mut offers: Vec<Offer> = fresh
            .into_iter()
            .filter_map(|class| self.offer(class))
            .collect();
        // Whichever class has the best task comes first, so that a place for one agent is not
        // taken by a lesser task of another class.
        while let Some((place, at, agent)) = self.best_of(&mut offers) {
            let class = offers[at].class;
            let waiting = offers[at].agents.len().min(self.lookahead());
            let agents = u32::try_from(waiting).unwrap_or(u32::MAX);
            self.give(&place, class, agent, Occasion::Ready { agents });
            self.refresh(&mut offers[at], agent);
        }
        self.preempt();
    }

    /// Gives a waiting agent what fits it, as much as it has room for.
    fn fill(&mut self, ix: Ix<Agent>) {
        while let Some((place, class)) = self.best_for(ix) {
            self.give(&place, class, ix, Occasion::Room);
        }
    }

    /// Gives a ready task of a class to an agent.
    pub(crate) fn give(
        &mut self,
        place: &Place,
        class: Ix<Class>,
        agent: Ix<Agent>,
        occasion: Occasion,
    ) {
        self.pass_over(place, agent);
        let row = &mut self.classes.table[class];
        row.passed = 0;
        let reserved = row.reserved.take() == Some(agent);
        let others = row.ready.len().saturating_sub(1);
        let needs = row.demand.of(&self.agents[agent]);
        let choice = Choice {
            ready_at: self.tasks[place.task].moment,
            priority: self.derived(self.tasks[place.task].derivation),
            occasion: if reserved {
                Occasion::Reserved
            } else {
                occasion
            },
            others: u32::try_from(others).unwrap_or(u32::MAX),
        };
        self.assign(place, agent, needs, choice);
    }

    fn offer(&self, class: Ix<Class>) -> Option<Offer> {
        let row = self.classes.table.get(class)?;
        let agents = self
            .waiting
            .iter()
            .filter_map(|ix| Some((self.room(*ix)?, *ix)))
            .filter(|(_, ix)| row.fits(&self.agents[*ix]));
        let agents: BTreeSet<_> = agents.collect();
        (!agents.is_empty()).then_some(Offer { class, agents })
    }

    /// The best task of all offers that one of its agents may have, and that agent.
    fn best_of(&self, offers: &mut Vec<Offer>) -> Option<(Place, usize, Ix<Agent>)> {
        offers.retain_mut(|offer| self.head(offer).is_some());
        let heads = offers.iter().enumerate();
        let heads = heads.filter_map(|(at, offer)| {
            let (turn, agent) = self.pick(offer)?;
            Some((turn, at, agent))
        });
        let ((_, place), at, agent) = heads.min()?;
        Some((place.clone(), at, agent))
    }

    /// Takes agents out of an offer that have been given something else meanwhile.
    fn head(&self, offer: &mut Offer) -> Option<()> {
        while let Some(&(room, agent)) = offer.agents.last() {
            let now = self.room(agent);
            if now == Some(room) {
                break;
            }
            offer.agents.pop_last();
            offer.agents.extend(now.map(|now| (now, agent)));
        }
        self.pick(offer).map(|_| ())
    }

    fn pick(&self, offer: &Offer) -> Option<(Turn<'_>, Ix<Agent>)> {
        let class = self.classes.table.get(offer.class)?;
        let mut turns = self.turns(class).take(self.lookahead());
        turns.find_map(|turn| {
            let agent = self.seat(&turn, offer)?;
            Some((turn, agent))
        })
    }

    /// The agent that gets a task, of those that may have it, if any.
    fn seat(&self, turn: &Turn<'_>, offer: &Offer) -> Option<Ix<Agent>> {
        let task = turn.1.task;
        let demand = &self.classes.table.get(offer.class)?.demand;
        let agents = offer.agents.iter().rev().map(|(_, agent)| *agent);
        let mut agents = agents.filter(|agent| {
            self.room(*agent).is_some()
                && self.agents[*agent].affords(demand)
                && self.may_have(turn, offer.class, *agent)
        });
        let Some(placement) = &self.config.policy.placement else {
            return agents.next();
        };
        let candidate = self.candidate(task)?;
        let agents: SmallVec<[Ix<Agent>; 8]> = agents.take(self.lookahead()).collect();
        if agents.len() < 2 {
            return agents.first().copied();
        }
        let local = self.local_bytes(self.tasks[task].derivation, &agents);
        let fits = agents.iter().zip(local).map(|(&ix, local_bytes)| {
            let agent = &self.agents[ix];
            let seat = Seat {
                agent: agent.record.id,
                capacity: &agent.capacity,
                tags: &agent.record.tags,
                health: agent.health,
                room: self.room(ix).map_or(0, |room| room.now),
                speed: agent.speed(),
                local_bytes,
            };
            (placement.fit(&candidate, &seat), ix)
        });
        // The first of equals has most room.
        let best = fits.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, ix)| ix)
    }

    fn refresh(&self, offer: &mut Offer, agent: Ix<Agent>) {
        offer.agents.retain(|(_, other)| *other != agent);
        offer
            .agents
            .extend(self.room(agent).map(|room| (room, agent)));
    }

    /// The best task for an agent, and its class.
    fn best_for(&self, ix: Ix<Agent>) -> Option<(Place, Ix<Class>)> {
        self.room(ix)?;
        let agent = &self.agents[ix];
        let classes = self.classes.ready.iter().filter_map(|class| {
            let row = &self.classes.table[*class];
            let can = row.fits(agent) && agent.affords(&row.demand);
            can.then_some((*class, row))
        });
        let heads = classes.filter_map(|(class, row)| {
            let mut turns = self.turns(row).take(self.lookahead());
            let turn = turns.find(|turn| self.may_have(turn, class, ix))?;
            Some((turn, class))
        });
        let ((_, place), class) = heads.min()?;
        Some((place.clone(), class))
    }

    fn lookahead(&self) -> usize {
        self.config.policy.lookahead.max(1)
    }

    /// Whether nothing speaks against giving the task to the agent, whom its class fits.
    pub(crate) fn may_have(&self, turn: &Turn<'_>, class: Ix<Class>, agent: Ix<Agent>) -> bool {
        let task = turn.1.task;
        let mut attempts = self.tasks[task].attempts().iter();
        let holds = attempts.any(|attempt| self.attempts[*attempt].agent == agent);
        !holds && !self.is_avoided(task, agent) && !self.is_kept_from(turn, class, agent)
    }

    /// How much room an agent has; none if it may get nothing.
    fn room(&self, ix: Ix<Agent>) -> Option<Room> {
        let agent = &self.agents[ix];
        if agent.record.paused || agent.waiting.is_none() || agent.is_pressed() {
            return None;
        }
        agent.room()
    }

    fn assign(&mut self, place: &Place, agent: Ix<Agent>, needs: Resources, choice: Choice) {
        let Place { lane, task, .. } = *place;
        let (slot, generation) = self.attempts.vacant();
        let row = &self.tasks[task];
        let again = row.builds.first().filter(|_| row.again);
        let record = AttemptRecord {
            id: AttemptId {
                term: self.start.term,
                slot,
                generation,
            },
            agent: self.agents[agent].record.id,
            derivation: self.derivations[row.derivation].item.digest,
            again: again.map(|build| self.id_of(*build)),
            assigned_at: self.now,
            choice,
        };
        self.ledger.put(Record::Attempt(record.clone()));
        let builds = row.builds.iter();
        self.ledger.fact(Fact::Started {
            attempt: record.id,
            derivation: record.derivation,
            agent: record.agent,
            builds: builds.map(|build| self.id_of(*build)).collect(),
        });
        let attempt = self.attempts.insert(Attempt {
            record,
            task,
            agent,
            phase: AttemptPhase::Preparing,
            needs: needs.clone(),
            lane,
            speed: self.agents[agent].speed(),
            expired: false,
        });
        if let Lane::Of(group) = lane {
            let speed = self.agents[agent].speed();
            self.groups.begin(group, speed, self.now, self.now);
        }
        self.tasks[task].tries_mut().attempts.push(attempt);
        self.has_inputs(agent, self.tasks[task].derivation);
        #[cfg(grange_bugs)]
        let stays = self.has_bug(crate::Bug::TwoAgents) && self.tasks[task].attempts().len() < 2;
        #[cfg(not(grange_bugs))]
        let stays = false;
        if !stays {
            self.set_state(task, TaskState::Running);
        }
        let row = &mut self.agents[agent];
        row.attempts.insert(attempt);
        row.occupy(&needs);
        if let Some(waiting) = &mut row.waiting {
            waiting.assign.push(attempt);
            self.to_answer.insert(agent);
        }
    }
}
