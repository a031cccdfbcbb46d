//! Clients and operators: they ask until they have an answer.

use std::collections::BTreeMap;

use crate::event::Event;
use crate::farm::Farm;
use crate::message::{Answer, Call, CallId, Peer};
use crate::scenario::{Action, build_id, spec};
use crate::time::Moment;

/// How long a client waits for an answer, in microseconds.
const PATIENCE: u64 = 10_000_000;
/// How long until it asks again.
const PAUSE: u64 = 500_000;

#[derive(Debug, Default)]
pub(crate) struct Clients {
    calls: BTreeMap<u64, Call>,
    number: u64,
}

impl Clients {
    /// Whether everybody has an answer.
    pub(crate) fn are_content(&self) -> bool {
        self.calls.is_empty()
    }
}

impl Farm {
    pub(crate) fn act(&mut self, at: usize) {
        let call = match self.scenario.actions[at].1.clone() {
            Action::Submit(builds) => Call::Submit(builds),
            Action::Cancel(build) => Call::Cancel(build),
            Action::Send(output) => Call::Send(output),
            Action::Prune(derivation) => Call::Prune(derivation),
            Action::Pause(agent, paused) => Call::Pause(agent, paused),
        };
        self.ask(call);
    }

    /// Somebody asks for every derivation, at once.
    pub(crate) fn ask_all(&mut self) {
        let all = (0..).zip(&self.scenario.graph);
        let all = all.map(|(at, derivation)| spec(build_id(3, at), derivation.item.digest));
        let all = all.collect();
        self.ask(Call::Submit(all));
        // Agents that were paused are not any more.
        for at in 0..self.agents.len() {
            let id = self.agents[at].plan.id;
            self.ask(Call::Pause(id, false));
        }
    }

    fn ask(&mut self, call: Call) {
        self.clients.number += 1;
        let number = self.clients.number;
        self.clients.calls.insert(number, call.clone());
        let id = CallId {
            peer: Peer::Clients,
            number,
        };
        self.call(id, call);
        self.agenda.put(self.now.plus(PATIENCE), Event::GiveUp(id));
    }

    pub(crate) fn client_hears(&mut self, number: u64, answer: &Answer) {
        match answer {
            Answer::Busy | Answer::Broken => {
                let id = CallId {
                    peer: Peer::Clients,
                    number,
                };
                self.agenda.put(self.now.plus(PAUSE), Event::GiveUp(id));
            }
            _ => {
                self.clients.calls.remove(&number);
            }
        }
    }

    /// It asks again, under the same identifiers.
    pub(crate) fn client_gives_up(&mut self, number: u64) {
        if let Some(call) = self.clients.calls.remove(&number) {
            self.ask(call);
        }
    }

    /// When all is healed, and what was canceled is forgotten, everything is asked for.
    pub(crate) fn ask_all_at(&self) -> Moment {
        let forgotten = self.scenario.config.remember_cancels;
        let micros = u64::try_from(forgotten.as_micros()).unwrap_or(u64::MAX);
        self.now.plus(micros).plus(60_000_000)
    }
}
