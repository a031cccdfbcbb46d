//! Calls on their way, both ways.

use crate::event::Event;
use crate::farm::Farm;
use crate::message::{Answer, Call, CallId, Peer};
use crate::network::{Carried, Way};

impl Farm {
    /// A peer calls the coordinator.
    pub(crate) fn call(&mut self, id: CallId, mut call: Call) {
        if let Call::Append { pieces, .. } = &mut call {
            self.network.garble(pieces);
        }
        match self.network.carry(self.now, id.peer, Way::Call) {
            Carried::At(at) => self.agenda.put(at, Event::Arrive(id, call)),
            Carried::Twice(at, again) => {
                self.agenda.put(at, Event::Arrive(id, call.clone()));
                self.agenda.put(again, Event::Arrive(id, call));
            }
            // Some connections break, others are silent.
            Carried::Lost if self.dice.one_in(2) => self.breaks(id),
            Carried::Lost => {}
        }
    }

    /// The coordinator answers.
    pub(crate) fn answer(&mut self, id: CallId, answer: Answer) {
        match self.network.carry(self.now, id.peer, Way::Answer) {
            // A second answer to one call is no answer to anything.
            Carried::At(at) | Carried::Twice(at, _) => {
                self.agenda.put(at, Event::Return(id, answer));
            }
            Carried::Lost if self.dice.one_in(2) => self.breaks(id),
            Carried::Lost => {}
        }
    }

    /// Who called sees that the connection broke.
    pub(crate) fn breaks(&mut self, id: CallId) {
        let at = self.now.plus(self.dice.between(100, 2_000_000));
        self.agenda.put(at, Event::Return(id, Answer::Broken));
    }

    pub(crate) fn returned(&mut self, id: CallId, answer: Answer) {
        match id.peer {
            Peer::Clients => self.client_hears(id.number, &answer),
            Peer::Agent(at) => self.agent_hears(at, id.number, answer),
        }
    }

    pub(crate) fn give_up(&mut self, id: CallId) {
        match id.peer {
            Peer::Clients => self.client_gives_up(id.number),
            Peer::Agent(at) => self.agent_hears(at, id.number, Answer::Broken),
        }
    }
}
