//! All streams of a conversation.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::channel::{Outbound, Piece, remember, wake};
use super::ended::Ended;
use super::stream::{Over, Stream};
use crate::protocol::{Frame, Kind, ProtocolError};

/// Streams at once, at most.
pub(crate) const MAX_STREAMS: usize = 256;
/// Frames other than data that wait to be sent, at most. An honest end that reads what it gets never comes near.
const MAX_CONTROL: usize = 16 * MAX_STREAMS;

/// Who opens streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Opener,
    Accepter,
}

/// When a stream is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// When the last answer was given.
    Control,
    /// When both ends have sent everything.
    Relay,
}

/// A stream that the other end opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) stream: u32,
    pub(crate) request: Vec<u8>,
}

/// All streams of a conversation. A new conversation gets a new one.
#[derive(Debug)]
pub(crate) struct Mux {
    core: Mutex<Core>,
}

#[derive(Debug)]
struct Core {
    side: Side,
    mode: Mode,
    streams: HashMap<u32, Stream>,
    /// The newest stream.
    last: u32,
    /// Goes before data.
    control: VecDeque<Frame>,
    /// Channels that can send, in turn.
    ready: VecDeque<(u32, u8)>,
    transmit_waker: Option<Waker>,
    ended: Option<Ended>,
    /// What is in `control` is still sent, and then nothing more.
    draining: bool,
}

impl Mux {
    pub(crate) fn new(side: Side, mode: Mode) -> Self {
        Self {
            core: Mutex::new(Core {
                side,
                mode,
                streams: HashMap::new(),
                last: 0,
                control: VecDeque::new(),
                ready: VecDeque::new(),
                transmit_waker: None,
                ended: None,
                draining: false,
            }),
        }
    }

    /// Opens a stream. None if there are too many, or the conversation is over.
    pub(crate) fn open(&self, request: Vec<u8>) -> Option<u32> {
        let mut core = self.lock();
        if core.ended.is_some() || core.streams.len() >= MAX_STREAMS {
            return None;
        }
        core.last = core.last.checked_add(1)?;
        let stream = core.last;
        core.streams.insert(stream, Stream::new());
        core.send(Frame::new(Kind::Open, stream, request));
        Some(stream)
    }

    /// Takes a frame that has arrived. Gives a stream that the other end has opened.
    pub(crate) fn handle(&self, frame: Frame) -> Result<Option<Opened>, ProtocolError> {
        self.lock().handle(frame)
    }

    /// The next frame to be sent; none when the conversation is over.
    pub(crate) fn poll_transmit(&self, cx: &Context<'_>) -> Poll<Option<Frame>> {
        let mut core = self.lock();
        match core.transmit() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if core.ended.is_some() || core.draining => Poll::Ready(None),
            None => {
                remember(&mut core.transmit_waker, cx);
                Poll::Pending
            }
        }
    }

    /// Sends a frame as it is, before all data.
    pub(crate) fn send(&self, frame: Frame) {
        self.lock().send(frame);
    }

    /// Ends the conversation: every wait on it ends. `farewell` is still sent.
    pub(crate) fn end(&self, ended: Ended, farewell: Option<Frame>) {
        let mut core = self.lock();
        if core.ended.is_none() {
            core.end(ended);
            core.control.extend(farewell);
        }
    }

    /// Closes all streams. When that was sent, there is nothing more to be sent.
    #[cfg(feature = "client")]
    pub(crate) fn drain(&self) {
        let mut core = self.lock();
        core.draining = true;
        let streams: Vec<u32> = core.streams.keys().copied().collect();
        for stream in streams {
            core.close(stream);
        }
        wake(&mut core.transmit_waker);
    }

    /// Why the conversation is over, if it is.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.lock().ended.clone()
    }

    /// Reads what has arrived. 0 at the end.
    pub(crate) fn poll_read(
        &self,
        stream: u32,
        channel: u8,
        out: &mut [u8],
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut core = self.lock();
        let ended = core.ended.clone();
        let Some(found) = core.streams.get_mut(&stream) else {
            return Poll::Ready(gone(ended).map(|()| 0));
        };
        let inbound = &mut found.inbound[usize::from(channel)];
        let count = inbound.read(out);
        if count > 0 {
            if found.over.is_none() {
                core.give_back(stream, channel);
            }
            return Poll::Ready(Ok(count));
        }
        if inbound.ended || found.over == Some(Over::Finished) {
            return Poll::Ready(Ok(0));
        }
        if found.over.is_some() || ended.is_some() {
            return Poll::Ready(gone(ended).map(|()| 0));
        }
        remember(&mut inbound.waker, cx);
        Poll::Pending
    }

    /// Has bytes sent, as many as there is room for.
    pub(crate) fn poll_write(
        &self,
        stream: u32,
        channel: u8,
        bytes: &[u8],
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut core = self.lock();
        let ended = core.ended.clone();
        let found = match core.streams.get_mut(&stream) {
            Some(found) if found.over.is_none() && ended.is_none() => found,
            _ => return Poll::Ready(gone(ended).map(|()| 0)),
        };
        let outbound = &mut found.outbound[usize::from(channel)];
        if outbound.finishing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = outbound.write(bytes);
        if count == 0 && !bytes.is_empty() {
            remember(&mut outbound.waker, cx);
            return Poll::Pending;
        }
        core.list(stream, channel);
        Poll::Ready(Ok(count))
    }

    /// Nothing more will be written on this channel. Ready when everything was sent.
    pub(crate) fn poll_finish(
        &self,
        stream: u32,
        channel: u8,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.finish(stream, channel);
        let mut core = self.lock();
        let ended = core.ended.clone();
        let Some(found) = core.streams.get_mut(&stream) else {
            return Poll::Ready(gone(ended));
        };
        let outbound = &mut found.outbound[usize::from(channel)];
        if outbound.finished || found.over == Some(Over::Finished) {
            return Poll::Ready(Ok(()));
        }
        if found.over.is_some() || ended.is_some() {
            return Poll::Ready(gone(ended));
        }
        remember(&mut outbound.waker, cx);
        Poll::Pending
    }

    /// Nothing more will be written on this channel: its end is sent after all that was.
    pub(crate) fn finish(&self, stream: u32, channel: u8) {
        let mut core = self.lock();
        if let Some(found) = core.streams.get_mut(&stream) {
            found.outbound[usize::from(channel)].finishing = true;
            core.list(stream, channel);
        }
    }

    /// Nobody reads this channel any more.
    pub(crate) fn discard(&self, stream: u32, channel: u8) {
        let mut core = self.lock();
        if let Some(found) = core.streams.get_mut(&stream) {
            found.inbound[usize::from(channel)].discard();
            if found.over.is_none() {
                core.give_back(stream, channel);
            }
        }
    }

    /// The next answer.
    ///
    /// # Errors
    ///
    /// None if the stream was closed.
    pub(crate) fn poll_answer(
        &self,
        stream: u32,
        cx: &Context<'_>,
    ) -> Poll<Result<Vec<u8>, Option<Ended>>> {
        let mut core = self.lock();
        let ended = core.ended.clone();
        let Some(found) = core.streams.get_mut(&stream) else {
            return Poll::Ready(Err(ended));
        };
        if let Some(answer) = found.answers.pop_front() {
            return Poll::Ready(Ok(answer));
        }
        if found.over.is_some() || ended.is_some() {
            return Poll::Ready(Err(ended));
        }
        remember(&mut found.answer_waker, cx);
        Poll::Pending
    }

    /// The last answer, sent after all data. The stream is not to be used any more.
    pub(crate) fn conclude(&self, stream: u32, answer: Vec<u8>) {
        let mut core = self.lock();
        if let Some(found) = core.streams.get_mut(&stream) {
            found.released = true;
            found.conclusion = Some(answer);
            core.conclude(stream);
            core.settle(stream);
        }
    }

    /// Has done with a stream, if it is not over: whoever still reads or writes is told so.
    pub(crate) fn close(&self, stream: u32) {
        self.lock().close(stream);
    }

    /// Nobody here has the stream any more.
    pub(crate) fn release(&self, stream: u32) {
        let mut core = self.lock();
        core.close(stream);
        core.streams.remove(&stream);
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        // Nothing is left half done where it could panic.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    fn handle(&mut self, frame: Frame) -> Result<Option<Opened>, ProtocolError> {
        let Frame {
            kind,
            channel,
            stream,
            ..
        } = frame;
        let unexpected = ProtocolError::Unexpected { kind, stream };
        if self.ended.is_some() {
            return Ok(None);
        }
        if kind == Kind::Broken {
            let reason = String::from_utf8_lossy(&frame.payload).into_owned();
            self.end(Ended::Broken(reason));
            return Ok(None);
        }
        if kind == Kind::Open {
            return if self.side == Side::Accepter && stream > self.last {
                Ok(self.accept(frame))
            } else {
                Err(unexpected)
            };
        }
        if kind.is_global() || stream > self.last {
            return Err(unexpected);
        }
        let credit = frame.credited();
        let Some(found) = self.streams.get_mut(&stream) else {
            return Ok(None);
        };
        if found.over.is_some() {
            return Ok(None);
        }
        let index = usize::from(channel);
        let answers = self.side == Side::Opener && self.mode == Mode::Control;
        match kind {
            // Errors come from the guest alone.
            Kind::Data | Kind::End if channel == 1 && !answers => return Err(unexpected),
            Kind::Data => {
                if !found.inbound[index].receive(&frame.payload) {
                    return Err(ProtocolError::Window(stream));
                }
                self.give_back(stream, channel);
            }
            Kind::End => {
                found.inbound[index].end();
                self.settle(stream);
            }
            Kind::Credit => {
                if !found.outbound[index].credit(credit) {
                    return Err(ProtocolError::Credit(stream));
                }
                self.list(stream, channel);
            }
            Kind::Close => {
                found.end(Over::Closed);
                self.settle(stream);
            }
            Kind::Answer | Kind::Progress if answers => {
                if !found.answer(frame.payload) {
                    return Err(unexpected);
                }
                if kind == Kind::Answer {
                    found.end(Over::Finished);
                }
            }
            _ => return Err(unexpected),
        }
        Ok(None)
    }

    fn accept(&mut self, frame: Frame) -> Option<Opened> {
        let stream = frame.stream;
        self.last = stream;
        if self.streams.len() >= MAX_STREAMS {
            self.send(Frame::new(Kind::Close, stream, Vec::new()));
            return None;
        }
        self.streams.insert(stream, Stream::new());
        Some(Opened {
            stream,
            request: frame.payload,
        })
    }

    fn transmit(&mut self) -> Option<Frame> {
        if let Some(frame) = self.control.pop_front() {
            return Some(frame);
        }
        while let Some((stream, channel)) = self.ready.pop_front() {
            let Some(found) = self.streams.get_mut(&stream) else {
                continue;
            };
            let outbound = &mut found.outbound[usize::from(channel)];
            outbound.listed = false;
            let piece = if found.over.is_none() {
                outbound.take()
            } else {
                None
            };
            let frame = match piece {
                Some(Piece::Data(bytes)) => Frame::data(stream, channel, bytes),
                Some(Piece::End) => Frame::end(stream, channel),
                None => continue,
            };
            self.list(stream, channel);
            self.settle(stream);
            self.conclude(stream);
            return Some(frame);
        }
        None
    }

    /// Puts a channel into the list of those that can send, if it can.
    fn list(&mut self, stream: u32, channel: u8) {
        let Some(found) = self.streams.get_mut(&stream) else {
            return;
        };
        let outbound = &mut found.outbound[usize::from(channel)];
        if !outbound.listed && outbound.can_send() && found.over.is_none() {
            outbound.listed = true;
            self.ready.push_back((stream, channel));
            wake(&mut self.transmit_waker);
        }
    }

    /// Sends the last answer if everything before it was sent.
    fn conclude(&mut self, stream: u32) {
        let Some(found) = self.streams.get_mut(&stream) else {
            return;
        };
        if found.over.is_none()
            && found.outbound.iter().all(Outbound::is_empty)
            && let Some(answer) = found.conclusion.take()
        {
            found.end(Over::Finished);
            self.streams.remove(&stream);
            self.send(Frame::new(Kind::Answer, stream, answer));
        }
    }

    /// Sees whether a stream has come to its end, and whether somebody still has it.
    fn settle(&mut self, stream: u32) {
        let Some(found) = self.streams.get_mut(&stream) else {
            return;
        };
        if self.mode == Mode::Relay && found.both_ended() {
            found.end(Over::Finished);
        }
        if found.over.is_some() && found.released {
            self.streams.remove(&stream);
        }
    }

    fn give_back(&mut self, stream: u32, channel: u8) {
        let found = self.streams.get_mut(&stream);
        if let Some(bytes) = found.and_then(|found| found.inbound[usize::from(channel)].credit()) {
            self.send(Frame::credit(stream, channel, bytes));
        }
    }

    fn close(&mut self, stream: u32) {
        let ended = self.ended.is_some();
        if let Some(found) = self.streams.get_mut(&stream)
            && found.over.is_none()
        {
            found.end(Over::Closed);
            if !ended {
                self.send(Frame::new(Kind::Close, stream, Vec::new()));
            }
        }
    }

    fn send(&mut self, frame: Frame) {
        if self.ended.is_some() {
            return;
        }
        if self.control.len() >= MAX_CONTROL {
            self.end(Ended::Flood);
            return;
        }
        self.control.push_back(frame);
        wake(&mut self.transmit_waker);
    }

    fn end(&mut self, ended: Ended) {
        self.ended = Some(ended);
        // Whoever said hello can only hear why it is over after the answer.
        self.control.retain(|frame| frame.kind == Kind::Welcome);
        self.ready.clear();
        wake(&mut self.transmit_waker);
        for stream in self.streams.values_mut() {
            stream.wake_all();
        }
    }
}

/// What whoever still has a stream is told when it is no more.
fn gone(ended: Option<Ended>) -> io::Result<()> {
    Err(match ended {
        Some(ended) => ended.into(),
        None => io::ErrorKind::ConnectionReset.into(),
    })
}
