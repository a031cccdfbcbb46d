//! Conversations, one after the other, on one port.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use super::port::Port;
use crate::mux::{Ended, Mode, Mux, Opened, Side, wait};
use crate::protocol::{Decoder, Frame, Hello, Kind, NONCE, ProtocolError, VERSION, Welcome};

/// Bytes that are read at once.
const READ: usize = 64 * 1024;

/// What is done on a port.
pub(crate) trait Service: Send + Sync + 'static {
    /// A new conversation, in which `welcome` is sent before anything else. The one before is ended after that.
    fn begin(&self, welcome: Frame) -> Arc<Mux>;
    /// The host has opened a stream.
    fn open(&self, mux: &Arc<Mux>, opened: Opened);
    /// This was sent.
    fn sent(&self, frame: &Frame);
}

/// The conversation of now.
#[derive(Default)]
struct Current {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    mux: Option<Arc<Mux>>,
    over: bool,
}

/// Serves until the port is closed for good.
pub(crate) fn serve(port: &Arc<Port>, service: &Arc<impl Service>) -> io::Result<()> {
    let current = Arc::new(Current::default());
    let writer = {
        let (port, service, current) =
            (Arc::clone(port), Arc::clone(service), Arc::clone(&current));
        thread::Builder::new()
            .name("writer".into())
            .spawn(move || send(&port, &*service, &current))?
    };
    let result = receive(port, &**service, &current);
    current.replace(None);
    // It may wait for a host that never comes again: a port that is closed is not written to.
    drop(writer);
    result
}

/// Reads until there is nothing more.
fn receive(port: &Port, service: &impl Service, current: &Current) -> io::Result<()> {
    let mut decoder = Decoder::guest();
    let mut bytes = vec![0; READ];
    loop {
        let count = port.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        decoder.push(&bytes[..count]);
        loop {
            let taken = match decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => take(frame, service, current),
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                decoder.lose();
                current.fail(error);
            }
        }
    }
}

/// Takes one frame.
fn take(frame: Frame, service: &impl Service, current: &Current) -> Result<(), ProtocolError> {
    if frame.kind == Kind::Hello {
        let welcome = welcome(&frame.payload)?;
        let mux = service.begin(welcome);
        current.replace(Some(mux));
        return Ok(());
    }
    // A hello came first, or the decoder would not give anything; but the conversation may be over.
    if let Some(mux) = current.get()
        && let Some(opened) = mux.handle(frame)?
    {
        service.open(&mux, opened);
    }
    Ok(())
}

/// Writes for as long as there are conversations.
fn send(port: &Port, service: &impl Service, current: &Current) {
    let mut bytes = Vec::new();
    let mut last = None;
    while let Some(mux) = current.next(last.as_ref()) {
        while let Some(frame) = wait(|cx| mux.poll_transmit(cx)) {
            bytes.clear();
            let written = frame.encode(&mut bytes).map_err(io::Error::other);
            if let Err(error) = written.and_then(|()| port.write_all(&bytes)) {
                mux.end(Ended::Io(Arc::new(error)), None);
                break;
            }
            service.sent(&frame);
        }
        last = Some(mux);
    }
}

/// The answer to a hello.
fn welcome(hello: &[u8]) -> Result<Frame, ProtocolError> {
    let (nonce, hello) = hello.split_at_checked(NONCE).unwrap_or_default();
    let hello: Hello = serde_json::from_slice(hello).map_err(|error| unreadable(&error))?;
    if hello.version == 0 {
        return Err(ProtocolError::Version(0));
    }
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let kernel = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let version = hello.version.min(VERSION);
    let welcome = Welcome::new(version, boot_id.trim_end().into(), clock_ms(), kernel);
    let welcome = serde_json::to_vec(&welcome).map_err(|error| unreadable(&error))?;
    Ok(Frame::new(Kind::Welcome, 0, [nonce, &welcome].concat()))
}

fn unreadable(error: &serde_json::Error) -> ProtocolError {
    ProtocolError::Payload {
        kind: Kind::Hello,
        reason: error.to_string(),
    }
}

fn clock_ms() -> i64 {
    let now = SystemTime::now();
    match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

/// A new conversation's streams.
pub(super) fn conversation(side: Side, mode: Mode, welcome: Frame) -> Arc<Mux> {
    let mux = Mux::new(side, mode);
    mux.send(welcome);
    Arc::new(mux)
}

impl Current {
    fn get(&self) -> Option<Arc<Mux>> {
        self.lock().mux.clone()
    }

    /// The host did what it must not: it is told so.
    fn fail(&self, error: ProtocolError) {
        if let Some(mux) = self.get() {
            let farewell = Frame::broken(&error.to_string());
            mux.end(Ended::Protocol(error), Some(farewell));
        }
    }

    /// Another conversation, or none any more.
    fn replace(&self, mux: Option<Arc<Mux>>) {
        if let Some(mux) = self.get() {
            mux.end(Ended::Eof, None);
        }
        let mut state = self.lock();
        state.over = mux.is_none();
        state.mux = mux;
        self.changed.notify_all();
    }

    /// Waits for another conversation than `last`.
    fn next(&self, last: Option<&Arc<Mux>>) -> Option<Arc<Mux>> {
        let mut state = self.lock();
        loop {
            match &state.mux {
                _ if state.over => return None,
                Some(mux) if !last.is_some_and(|last| Arc::ptr_eq(last, mux)) => {
                    return Some(Arc::clone(mux));
                }
                _ => {
                    state = self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
