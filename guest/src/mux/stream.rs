//! One stream.

use std::collections::VecDeque;
use std::task::Waker;

use super::channel::{Inbound, Outbound, wake};

/// Answers that wait to be read, at most: that the program has started, and how it ended.
const ANSWERS: usize = 2;

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) inbound: [Inbound; 2],
    pub(super) outbound: [Outbound; 2],
    pub(super) answers: VecDeque<Vec<u8>>,
    pub(super) answer_waker: Option<Waker>,
    /// What is sent last, when all data was.
    pub(super) conclusion: Option<Vec<u8>>,
    pub(super) over: Option<Over>,
    /// Nobody here has it any more: it goes when it is over.
    pub(super) released: bool,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Everything was said.
    Finished,
    /// One end had done with it.
    Closed,
}

impl Stream {
    pub(super) fn new() -> Self {
        Self {
            inbound: [Inbound::new(), Inbound::new()],
            outbound: [Outbound::new(), Outbound::new()],
            answers: VecDeque::new(),
            answer_waker: None,
            conclusion: None,
            over: None,
            released: false,
        }
    }

    /// Keeps an answer. False if there are too many.
    #[must_use]
    pub(super) fn answer(&mut self, answer: Vec<u8>) -> bool {
        if self.answers.len() >= ANSWERS {
            return false;
        }
        self.answers.push_back(answer);
        wake(&mut self.answer_waker);
        true
    }

    /// It is over, from here on.
    pub(super) fn end(&mut self, over: Over) {
        self.over.get_or_insert(over);
        self.wake_all();
    }

    pub(super) fn wake_all(&mut self) {
        wake(&mut self.answer_waker);
        for inbound in &mut self.inbound {
            wake(&mut inbound.waker);
        }
        for outbound in &mut self.outbound {
            wake(&mut outbound.waker);
        }
    }

    /// Whether each end has said all on channel 0, and it was sent.
    pub(super) fn both_ended(&self) -> bool {
        self.inbound[0].ended && self.outbound[0].finished
    }
}
