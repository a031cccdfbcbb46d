//! What becomes of messages.

use crate::dice::Dice;
use crate::message::Peer;
use crate::scenario::Weather;
use crate::time::Moment;

#[derive(Debug)]
pub(crate) struct Network {
    dice: Dice,
    weather: Weather,
    /// Until when nothing goes to or from clients, and each agent.
    clients_cut: Moment,
    agents_cut: Vec<Moment>,
    /// Until when answers to each agent are lost, though its calls arrive.
    answers_cut: Vec<Moment>,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Call,
    Answer,
}

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// It is there at that moment.
    At(Moment),
    /// It is there twice.
    Twice(Moment, Moment),
    Lost,
}

impl Network {
    pub(crate) fn new(dice: Dice, weather: Weather, agents: usize) -> Self {
        Self {
            dice,
            weather,
            clients_cut: Moment(0),
            agents_cut: vec![Moment(0); agents],
            answers_cut: vec![Moment(0); agents],
        }
    }

    fn cut_until(&mut self, peer: Peer) -> &mut Moment {
        match peer {
            Peer::Clients => &mut self.clients_cut,
            Peer::Agent(at) => &mut self.agents_cut[at],
        }
    }

    pub(crate) fn cut(&mut self, peer: Peer, until: Moment) {
        let cut = self.cut_until(peer);
        *cut = until.max(*cut);
    }

    pub(crate) fn cut_answers(&mut self, agent: usize, until: Moment) {
        let cut = &mut self.answers_cut[agent];
        *cut = until.max(*cut);
    }

    fn is_cut(&mut self, now: Moment, peer: Peer, way: Way) -> bool {
        let deaf = match (peer, way) {
            (Peer::Agent(at), Way::Answer) => self.answers_cut[at] > now,
            _ => false,
        };
        deaf || *self.cut_until(peer) > now
    }

    pub(crate) fn cut_all(&mut self, until: Moment) {
        self.cut(Peer::Clients, until);
        for at in 0..self.agents_cut.len() {
            self.cut(Peer::Agent(at), until);
        }
    }

    /// From now on all goes well.
    pub(crate) fn heal(&mut self) {
        self.clients_cut = Moment(0);
        self.agents_cut.fill(Moment(0));
        self.answers_cut.fill(Moment(0));
        self.weather = Weather {
            loss: 0,
            twice: 0,
            garbled: 0,
            ..self.weather
        };
    }

    fn delay(&mut self) -> u64 {
        self.weather.delay_us + self.dice.below(self.weather.jitter_us)
    }

    /// A message that leaves now, to or from a peer. Those that are sent later may come earlier.
    pub(crate) fn carry(&mut self, now: Moment, peer: Peer, way: Way) -> Carried {
        let at = now.plus(self.delay());
        if self.is_cut(now, peer, way) || self.dice.per_mille(self.weather.loss) {
            Carried::Lost
        } else if self.dice.per_mille(self.weather.twice) {
            Carried::Twice(at, at.plus(self.delay() * self.dice.between(1, 50)))
        } else {
            Carried::At(at)
        }
    }

    /// Changes bytes on their way, now and then.
    pub(crate) fn garble(&mut self, pieces: &mut [u64]) {
        if self.dice.per_mille(self.weather.garbled)
            && let Some(at) = self.dice.index(pieces.len())
        {
            pieces[at] ^= 1;
        }
    }
}
