//! One channel of a stream, in one direction.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use crate::protocol::WINDOW;

/// Bytes that wait to be sent, at most.
const OUTBOUND: usize = 64 * 1024;
/// Bytes in one frame, at most: less than a frame may have, so that streams take turns more often.
const CHUNK: usize = 32 * 1024;
/// Credit is given back in lots of so many bytes at least.
const LOT: u32 = WINDOW / 4;

/// What arrives.
#[derive(Debug)]
pub(super) struct Inbound {
    buffer: VecDeque<u8>,
    /// Bytes that the other end may still send.
    room: u32,
    /// Bytes that were read, and not credited yet.
    owed: u32,
    pub(super) ended: bool,
    discard: bool,
    pub(super) waker: Option<Waker>,
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Outbound {
    buffer: VecDeque<u8>,
    /// Bytes that may still be sent.
    credit: u32,
    pub(super) finishing: bool,
    /// The end was sent.
    pub(super) finished: bool,
    /// Whether it stands in the list of those that can send.
    pub(super) listed: bool,
    pub(super) waker: Option<Waker>,
}

/// What to send next.
pub(super) enum Piece {
    Data(Vec<u8>),
    End,
}

impl Inbound {
    pub(super) fn new() -> Self {
        Self {
            buffer: VecDeque::new(),
            room: WINDOW,
            owed: 0,
            ended: false,
            discard: false,
            waker: None,
        }
    }

    /// Takes what has arrived. False if that was more than may come.
    #[must_use]
    pub(super) fn receive(&mut self, bytes: &[u8]) -> bool {
        let length = match u32::try_from(bytes.len()) {
            Ok(length) if length <= self.room && !self.ended => length,
            _ => return false,
        };
        self.room -= length;
        if self.discard {
            self.owed += length;
        } else {
            self.buffer.extend(bytes);
            wake(&mut self.waker);
        }
        true
    }

    /// Moves bytes to `out`, as many as there are and fit.
    pub(super) fn read(&mut self, out: &mut [u8]) -> usize {
        let count = self.buffer.len().min(out.len());
        let (first, second) = self.buffer.as_slices();
        let split = first.len().min(count);
        out[..split].copy_from_slice(&first[..split]);
        out[split..count].copy_from_slice(&second[..count - split]);
        self.drop_front(count);
        count
    }

    /// Nobody reads any more: what is there and what comes is thrown away.
    pub(super) fn discard(&mut self) {
        self.discard = true;
        self.drop_front(self.buffer.len());
        self.buffer = VecDeque::new();
    }

    /// Credit that is to be sent now, if any.
    pub(super) fn credit(&mut self) -> Option<u32> {
        if self.owed < LOT || self.ended {
            return None;
        }
        self.room += self.owed;
        Some(std::mem::take(&mut self.owed))
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        wake(&mut self.waker);
    }

    fn drop_front(&mut self, count: usize) {
        self.buffer.drain(..count);
        // At most a window lies in the buffer.
        self.owed += u32::try_from(count).unwrap_or(WINDOW);
    }
}

impl Outbound {
    pub(super) fn new() -> Self {
        Self {
            buffer: VecDeque::new(),
            credit: WINDOW,
            finishing: false,
            finished: false,
            listed: false,
            waker: None,
        }
    }

    /// Takes bytes to be sent, as many as there is room for.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(OUTBOUND - self.buffer.len());
        self.buffer.extend(&bytes[..count]);
        count
    }

    /// More may be sent. False if that is more than a window.
    #[must_use]
    pub(super) fn credit(&mut self, bytes: u32) -> bool {
        match self.credit.checked_add(bytes) {
            Some(credit) if credit <= WINDOW => {
                self.credit = credit;
                true
            }
            _ => false,
        }
    }

    /// Whether [`Self::take`] would give something.
    pub(super) fn can_send(&self) -> bool {
        if self.buffer.is_empty() {
            self.finishing && !self.finished
        } else {
            self.credit > 0
        }
    }

    /// Whether everything that was written was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && (self.finished || !self.finishing)
    }

    pub(super) fn take(&mut self) -> Option<Piece> {
        if !self.can_send() {
            return None;
        }
        wake(&mut self.waker);
        let most = usize::try_from(self.credit).unwrap_or(CHUNK).min(CHUNK);
        let count = self.buffer.len().min(most);
        if count == 0 {
            self.finished = true;
            return Some(Piece::End);
        }
        let (first, second) = self.buffer.as_slices();
        let split = first.len().min(count);
        let piece = [&first[..split], &second[..count - split]].concat();
        self.buffer.drain(..count);
        self.credit -= u32::try_from(count).unwrap_or(self.credit);
        Some(Piece::Data(piece))
    }
}

/// Wakes whoever waits.
pub(super) fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Remembers whom to wake.
pub(super) fn remember(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}
