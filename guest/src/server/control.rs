//! What a host asks for on the control port.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use rustix::time::{ClockId, Timespec, clock_settime};

use super::children::{Children, Programs};
use super::link::{Service, conversation, serve};
use super::port::Port;
use super::power::Power;
use super::vsock::Listener;
use super::{exec, files};
use crate::mux::{Mode, Mux, Opened, Side};
use crate::protocol::{
    Answer, ChannelSecret, Exec, Frame, Kind, MAX_SEED, MIN_SEED, Request, Turn,
};
use crate::ready::Ready;
use crate::sys;

/// The machine's own clock.
const HARDWARE_CLOCK: &str = "/dev/rtc0";

/// Does what a host asks for.
#[derive(Debug)]
pub(crate) struct Control {
    children: Arc<Children>,
    programs: Arc<Programs>,
    power: Power,
    /// Programs wait for it.
    ready: Ready,
    listener: Arc<Listener>,
    /// The stream whose answer is the last thing sent; 0 for none.
    last: AtomicU32,
}

impl Control {
    /// Nobody else in this process may have children from here on.
    pub(crate) fn start(power: Power, ready: Ready) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            children: Children::start()?,
            programs: Arc::default(),
            power,
            ready,
            listener: Arc::default(),
            last: AtomicU32::new(0),
        }))
    }

    /// Of the same machine, for another port at the same time.
    fn beside(&self) -> Self {
        Self {
            children: Arc::clone(&self.children),
            programs: Arc::default(),
            power: self.power,
            ready: self.ready.clone(),
            listener: Arc::clone(&self.listener),
            last: AtomicU32::new(0),
        }
    }

    /// Kills all programs.
    pub(crate) fn kill_all(&self) {
        self.children.kill_all();
    }

    /// Does what is done at once; the rest, in threads.
    fn answer(&self, mux: &Arc<Mux>, stream: u32, request: Request) -> Option<Answer> {
        let answer = match request {
            Request::Ping => Answer::Done,
            Request::Exec(exec) => return self.exec(mux, stream, exec),
            Request::Put(put) => {
                return thread(mux, stream, move |mux| files::put(mux, stream, &put));
            }
            Request::Get { path } => {
                return thread(mux, stream, move |mux| files::get(mux, stream, &path));
            }
            Request::Kill { stream, signal } => self.kill(stream, signal),
            Request::Seed { bytes } => seed(&bytes),
            Request::Clock { unix_ms } => self.set_clock(unix_ms),
            Request::Listen { secret, peer } => return self.listen(mux, stream, secret, peer),
            Request::PowerOff => {
                self.kill_all();
                self.last.store(stream, Ordering::Relaxed);
                Answer::Done
            }
        };
        Some(answer)
    }

    /// A program may want what the machine does not have yet.
    fn exec(&self, mux: &Arc<Mux>, stream: u32, exec: Exec) -> Option<Answer> {
        let (children, programs) = (Arc::clone(&self.children), Arc::clone(&self.programs));
        if self.ready.is_set() {
            return exec::start(mux, stream, &exec, &children, &programs).err();
        }
        let (theirs, ready) = (Arc::clone(mux), self.ready.clone());
        let started = exec::spawn("waiting", move || {
            ready.wait();
            if theirs.ended().is_none()
                && let Err(answer) = exec::start(&theirs, stream, &exec, &children, &programs)
            {
                conclude(&theirs, stream, &answer);
            }
        });
        started.err().map(|error| no_thread(&error))
    }

    /// The driver may not be there yet.
    fn listen(
        &self,
        mux: &Arc<Mux>,
        stream: u32,
        secret: ChannelSecret,
        peer: u32,
    ) -> Option<Answer> {
        let this = self.beside();
        thread(mux, stream, move |_| {
            this.ready.wait();
            let listener = Arc::clone(&this.listener);
            let serve = move |connection| {
                let served = Port::socket(connection)
                    .and_then(|port| serve(&Arc::new(port), &Arc::new(this.beside())));
                if let Err(error) = served {
                    eprintln!("grange-guest: a connection has failed: {error}");
                }
            };
            match listener.invite(secret, peer, Arc::new(serve)) {
                Ok(port) => Answer::Listening { port },
                Err(error) => {
                    let reason = format_args!("cannot listen on AF_VSOCK: {error}");
                    Answer::failed(Turn::Operator, reason)
                }
            }
        })
    }

    /// The kernel's clock, and a machine's own, which `hwclock` shows.
    fn set_clock(&self, unix_ms: i64) -> Answer {
        let time = Timespec {
            tv_sec: unix_ms.div_euclid(1000),
            tv_nsec: unix_ms.rem_euclid(1000) * 1_000_000,
        };
        match clock_settime(ClockId::Realtime, time) {
            Ok(()) => {}
            Err(rustix::io::Errno::INVAL) => {
                return Answer::failed(Turn::Caller, "the clock cannot show that time");
            }
            Err(error) => return cannot_set("clock", error.into()),
        }
        if self.power == Power::Process {
            return Answer::Done;
        }
        match OpenOptions::new().read(true).open(HARDWARE_CLOCK) {
            Ok(clock) => match sys::set_hardware_clock(clock.as_fd(), time.tv_sec) {
                Ok(()) => Answer::Done,
                Err(error) => cannot_set("hardware clock", error),
            },
            // A machine need not have one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::Done,
            Err(error) => cannot_set("hardware clock", error),
        }
    }

    fn kill(&self, stream: u32, signal: i32) -> Answer {
        let Some(signal) = Signal::from_named_raw(signal) else {
            return Answer::failed(Turn::Caller, format_args!("there is no signal {signal}"));
        };
        let Some(pid) = self.programs.get(stream) else {
            return Answer::failed(Turn::Caller, "no program was started there");
        };
        match self.children.kill(pid, signal) {
            Ok(()) => Answer::Done,
            Err(error) => Answer::failed(Turn::Caller, format_args!("cannot kill it: {error}")),
        }
    }
}

impl Service for Control {
    fn begin(&self, welcome: Frame) -> Arc<Mux> {
        // The programs themselves are killed by whoever waits for them, because their streams end.
        self.programs.clear();
        self.last.store(0, Ordering::Relaxed);
        conversation(Side::Accepter, Mode::Control, welcome)
    }

    fn open(&self, mux: &Arc<Mux>, opened: Opened) {
        let stream = opened.stream;
        let answer = match serde_json::from_slice(&opened.request) {
            Ok(request) => self.answer(mux, stream, request),
            Err(error) => Some(Answer::failed(
                Turn::Caller,
                format_args!("the request cannot be read: {error}"),
            )),
        };
        if let Some(answer) = answer {
            conclude(mux, stream, &answer);
        }
    }

    fn sent(&self, frame: &Frame) {
        if frame.kind == Kind::Answer && frame.stream == self.last.load(Ordering::Relaxed) {
            self.power.off();
        }
    }
}

fn cannot_set(what: &str, error: io::Error) -> Answer {
    Answer::failed(
        Turn::Operator,
        format_args!("cannot set the {what}: {error}"),
    )
}

/// Works on a stream in a thread of its own.
fn thread(
    mux: &Arc<Mux>,
    stream: u32,
    work: impl FnOnce(&Mux) -> Answer + Send + 'static,
) -> Option<Answer> {
    let theirs = Arc::clone(mux);
    let started = exec::spawn("file", move || {
        let answer = work(&theirs);
        // What was sent before a failure is not the whole file, but the answer says so.
        conclude(&theirs, stream, &answer);
    });
    started.err().map(|error| no_thread(&error))
}

fn no_thread(error: &io::Error) -> Answer {
    Answer::failed(
        Turn::Operator,
        format_args!("cannot start a thread: {error}"),
    )
}

fn conclude(mux: &Mux, stream: u32, answer: &Answer) {
    // Nothing in it cannot be written.
    mux.conclude(stream, serde_json::to_vec(answer).unwrap_or_default());
}

fn seed(bytes: &[u8]) -> Answer {
    if !(MIN_SEED..=MAX_SEED).contains(&bytes.len()) {
        let reason = format!("a seed has from {MIN_SEED} to {MAX_SEED} bytes");
        return Answer::failed(Turn::Caller, reason);
    }
    let random = OpenOptions::new().write(true).open("/dev/urandom");
    match random.and_then(|random| sys::add_entropy(random.as_fd(), bytes)) {
        Ok(()) => Answer::Done,
        Err(error) => Answer::failed(Turn::Operator, format_args!("cannot seed: {error}")),
    }
}
