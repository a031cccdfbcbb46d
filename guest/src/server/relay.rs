//! Carries connections of programs in the guest to the host, through one port.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::exec::{spawn, write_all};
use super::link::{Service, conversation, serve};
use super::port::Port;
use crate::mux::{Mode, Mux, Opened, Side, wait};
use crate::protocol::{BREAK, Frame};

/// Bytes that are moved at once.
const PIECE: usize = 32 * 1024;

/// The conversation of now, for whoever connects.
#[derive(Default)]
struct Relay {
    current: Mutex<Option<Arc<Mux>>>,
    begun: Condvar,
}

/// Listens at `socket` and carries each connection to the host, until the port is closed for good.
pub(crate) fn relay(port: &Arc<Port>, socket: &Path) -> io::Result<()> {
    if let Err(error) = std::fs::remove_file(socket)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let listener = UnixListener::bind(socket)?;
    let relay = Arc::new(Relay::default());
    let theirs = Arc::clone(&relay);
    spawn("accept", move || accept(&listener, &theirs))?;
    // The host may be in a conversation with a process before this one: it learns so that it is over.
    port.write_all(&[0; BREAK])?;
    serve(port, &relay)
}

fn accept(listener: &UnixListener, relay: &Relay) {
    for connection in listener.incoming() {
        // What is wrong with one connection is no other's business.
        if let Ok(connection) = connection
            && let Err(error) = carry(connection, &relay.wait())
        {
            eprintln!("grange-guest: cannot carry a connection: {error}");
        }
    }
}

/// Carries one connection, in two threads. If there are too many, it is closed at once.
fn carry(connection: UnixStream, mux: &Arc<Mux>) -> io::Result<()> {
    let Some(stream) = mux.open(Vec::new()) else {
        return Ok(());
    };
    let started = (|| {
        let (there, here) = (Arc::clone(mux), connection.try_clone()?);
        let up = spawn("up", move || up(&there, stream, &here))?;
        let there = Arc::clone(mux);
        spawn("down", move || {
            down(&there, stream, &connection);
            // The other thread cannot panic; and if, the stream is released as well.
            drop(up.join());
            there.release(stream);
        })
    })();
    if let Err(error) = started {
        mux.release(stream);
        return Err(error);
    }
    Ok(())
}

/// From the program to the host.
fn up(mux: &Mux, stream: u32, mut connection: &UnixStream) {
    let mut bytes = vec![0; PIECE];
    let sent = loop {
        match connection.read(&mut bytes) {
            Ok(0) => break finish(mux, stream, connection),
            Ok(count) => {
                if let Err(error) = write_all(mux, stream, 0, &bytes[..count]) {
                    break Err(error);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    if sent.is_err() {
        cut(mux, stream, connection);
    }
}

/// The program sends no more. If it does not read any more, either, the host need not find that out by writing.
fn finish(mux: &Mux, stream: u32, connection: &UnixStream) -> io::Result<()> {
    wait(|cx| mux.poll_finish(stream, 0, cx))?;
    let mut gone = [PollFd::new(connection, PollFlags::empty())];
    poll(&mut gone, Some(&Timespec::default()))?;
    if gone[0].revents().contains(PollFlags::HUP) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

/// From the host to the program.
fn down(mux: &Mux, stream: u32, mut connection: &UnixStream) {
    let mut bytes = vec![0; PIECE];
    let received = loop {
        match wait(|cx| mux.poll_read(stream, 0, &mut bytes, cx)) {
            Ok(0) => break connection.shutdown(Shutdown::Write),
            Ok(count) => {
                if let Err(error) = connection.write_all(&bytes[..count]) {
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    if received.is_err() {
        cut(mux, stream, connection);
    }
}

/// Ends a connection at both ends, so that both threads see it.
fn cut(mux: &Mux, stream: u32, connection: &UnixStream) {
    mux.close(stream);
    // It may be shut down already.
    drop(connection.shutdown(Shutdown::Both));
}

impl Relay {
    /// Waits until there is a host.
    fn wait(&self) -> Arc<Mux> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(mux) = &*current
                && mux.ended().is_none()
            {
                return Arc::clone(mux);
            }
            current = self
                .begun
                .wait(current)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Service for Relay {
    fn begin(&self, welcome: Frame) -> Arc<Mux> {
        let mux = conversation(Side::Opener, Mode::Relay, welcome);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::clone(&mux));
        self.begun.notify_all();
        mux
    }

    fn open(&self, mux: &Arc<Mux>, opened: Opened) {
        // The conversation refuses streams that the host opens, so this does not happen.
        mux.release(opened.stream);
    }

    fn sent(&self, _: &Frame) {}
}
