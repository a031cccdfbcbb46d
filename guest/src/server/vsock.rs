//! Control ports on AF_VSOCK: a connection each, for whoever knows the secret.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, acceptfrom_with, bind, getsockname, listen, socket_with,
};
use rustix::rand::{GetRandomFlags, getrandom};

use super::exec::spawn;
use crate::protocol::handshake::{GuestHandshake, HANDSHAKE_NONCE, RESPONSE};
use crate::protocol::{ChannelSecret, VsockAddress};
use crate::sys;

/// Who has connected has to show within this time that it knows the secret.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many may be about to; more are cut.
const WAITING: usize = 32;
/// So many connections the kernel holds for us.
const BACKLOG: i32 = 16;
/// After a connection could not be taken, for want of memory, say.
const PAUSE: Duration = Duration::from_millis(100);
/// Any CID of ours, at a port that is free.
const ANY: VsockAddress = VsockAddress {
    cid: libc::VMADDR_CID_ANY,
    port: libc::VMADDR_PORT_ANY,
};

/// What listens on AF_VSOCK, once it is asked to.
#[derive(Debug, Default)]
pub(super) struct Listener {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    port: Option<u32>,
    invited: Option<Invited>,
}

/// Who may connect.
#[derive(Clone, Debug)]
struct Invited {
    secret: ChannelSecret,
    peer: u32,
}

/// What is done with a connection of one that knows the secret: it blocks.
type Serve = Arc<dyn Fn(OwnedFd) + Send + Sync>;

impl Listener {
    /// Listens, from now on for whoever comes from `peer` and knows `secret`, and nobody else. Gives the port.
    pub(super) fn invite(
        self: &Arc<Self>,
        secret: ChannelSecret,
        peer: u32,
        serve: Serve,
    ) -> io::Result<u32> {
        let mut state = self.lock();
        let port = match state.port {
            Some(port) => port,
            None => {
                let (socket, port) = open()?;
                let this = Arc::clone(self);
                spawn("vsock", move || this.accept(&socket, &serve))?;
                port
            }
        };
        *state = State {
            port: Some(port),
            invited: Some(Invited { secret, peer }),
        };
        Ok(port)
    }

    fn accept(&self, socket: &OwnedFd, serve: &Serve) {
        let waiting = Arc::new(());
        loop {
            let accepted = acceptfrom_with(socket, SocketFlags::CLOEXEC);
            let Ok((connection, peer)) = accepted else {
                thread::sleep(PAUSE);
                continue;
            };
            let Some(invited) = self.lock().invited.clone() else {
                continue;
            };
            let peer = peer.and_then(|peer| sys::vsock_address(&peer));
            let is_expected = peer.is_some_and(|peer| peer.cid == invited.peer);
            // One count is ours.
            if !is_expected || Arc::strong_count(&waiting) > WAITING {
                continue;
            }
            let (serve, waits) = (Arc::clone(serve), Arc::clone(&waiting));
            let started = spawn("host", move || {
                let admitted = admit_vsock(connection, invited.secret);
                drop(waits);
                match admitted {
                    Ok(connection) => serve(connection),
                    Err(error) => eprintln!("grange-guest: a connection was refused: {error}"),
                }
            });
            if let Err(error) = started {
                eprintln!("grange-guest: cannot start a thread: {error}");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that listens, and its port.
fn open() -> io::Result<(OwnedFd, u32)> {
    let (family, kind) = (AddressFamily::VSOCK, SocketType::STREAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &sys::vsock(ANY))?;
    listen(&socket, BACKLOG)?;
    let port = address(&socket)?.port;
    Ok((socket, port))
}

/// Where a socket is bound.
fn address(socket: &OwnedFd) -> io::Result<VsockAddress> {
    sys::vsock_address(&getsockname(socket)?).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn admit_vsock(connection: OwnedFd, secret: ChannelSecret) -> io::Result<OwnedFd> {
    // The CID that was connected to, which is our own.
    let address = address(&connection)?;
    let connection = File::from(connection);
    admit(&connection, secret, address, PATIENCE)?;
    Ok(connection.into())
}

/// Has whoever has connected show that it knows the secret, and shows that we do.
fn admit<S>(
    stream: &S,
    secret: ChannelSecret,
    address: VsockAddress,
    patience: Duration,
) -> io::Result<()>
where
    S: AsFd,
    for<'a> &'a S: Read + Write,
{
    let end = Instant::now() + patience;
    // Whoever has no room for what is said is not waited for either.
    set_socket_timeout(stream, Timeout::Send, Some(patience))?;
    let mut nonce = [0; HANDSHAKE_NONCE];
    // The kernel gives so few at once, or waits until it has them.
    if getrandom(&mut nonce, GetRandomFlags::empty())? != nonce.len() {
        return Err(io::Error::other("there are no random numbers"));
    }
    let handshake = GuestHandshake::new(secret, address, nonce);
    let mut ours = stream;
    ours.write_all(&handshake.challenge())?;
    let mut response = [0; RESPONSE];
    let mut have = 0;
    while have < response.len() {
        readable(stream, end)?;
        match ours.read(&mut response[have..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let proof = handshake.confirm(&response).map_err(io::Error::other)?;
    ours.write_all(&proof)?;
    Ok(set_socket_timeout(stream, Timeout::Send, None)?)
}

/// Waits until there is something to be read, at most until `end`.
fn readable(stream: &impl AsFd, end: Instant) -> io::Result<()> {
    let mut ready = [PollFd::new(stream, PollFlags::IN)];
    loop {
        let rest = end.saturating_duration_since(Instant::now());
        let rest = Timespec::try_from(rest).map_err(io::Error::other)?;
        match poll(&mut ready, Some(&rest)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::protocol::handshake::{CHALLENGE, HostHandshake, PROOF};

    const ADDRESS: VsockAddress = VsockAddress { cid: 3, port: 1025 };
    const LONG: Duration = Duration::from_secs(60);

    fn secret() -> ChannelSecret {
        ChannelSecret::new([7; 32])
    }

    /// What comes of a guest that `host` speaks to.
    fn guest(patience: Duration, host: impl FnOnce(&mut UnixStream)) -> io::Result<()> {
        let (theirs, mut ours) = UnixStream::pair().unwrap();
        let admitting = thread::spawn(move || admit(&theirs, secret(), ADDRESS, patience));
        host(&mut ours);
        admitting.join().unwrap()
    }

    fn challenge(stream: &mut UnixStream) -> [u8; CHALLENGE] {
        let mut challenge = [0; CHALLENGE];
        stream.read_exact(&mut challenge).unwrap();
        challenge
    }

    fn response(challenge: &[u8; CHALLENGE], secret: &ChannelSecret) -> [u8; RESPONSE] {
        let responded = HostHandshake::respond(secret, ADDRESS, [1; 32], challenge);
        responded.unwrap().1
    }

    /// All that a guest still says.
    fn rest(stream: &mut UnixStream) -> Vec<u8> {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        rest
    }

    #[test]
    fn who_knows_the_secret_is_let_in_however_its_bytes_are_cut() {
        guest(LONG, |host| {
            let challenge = challenge(host);
            let (handshake, response) =
                HostHandshake::respond(&secret(), ADDRESS, [1; 32], &challenge).unwrap();
            for byte in response {
                host.write_all(&[byte]).unwrap();
            }
            let proof: [u8; PROOF] = rest(host).try_into().unwrap();
            handshake.check(&proof).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn strangers_are_cut_and_told_nothing() {
        let mut seen = Vec::new();
        let wrong = |response: fn(&[u8; CHALLENGE]) -> Vec<u8>| {
            move |host: &mut UnixStream| {
                let challenge = challenge(host);
                host.write_all(&response(&challenge)).unwrap();
                host.shutdown(Shutdown::Write).unwrap();
                assert_eq!(rest(host), b"");
            }
        };
        let other = |challenge: &[u8; CHALLENGE]| {
            response(challenge, &ChannelSecret::new([8; 32])).to_vec()
        };
        let garbage = |_: &[u8; CHALLENGE]| vec![0xe7; RESPONSE];
        let truncated =
            |challenge: &[u8; CHALLENGE]| response(challenge, &secret())[..RESPONSE - 1].to_vec();
        let none = |_: &[u8; CHALLENGE]| Vec::new();
        for response in [other, garbage, truncated, none] {
            seen.push(guest(LONG, wrong(response)).unwrap_err().kind());
        }
        let (no, end) = (io::ErrorKind::Other, io::ErrorKind::UnexpectedEof);
        assert_eq!(seen, [no, no, end, end]);
    }

    #[test]
    fn what_was_heard_once_lets_nobody_in() {
        let mut heard = [0; RESPONSE];
        guest(LONG, |host| {
            heard = response(&challenge(host), &secret());
            host.write_all(&heard).unwrap();
            rest(host);
        })
        .unwrap();
        guest(LONG, |host| {
            challenge(host);
            host.write_all(&heard).unwrap();
            assert_eq!(rest(host), b"");
        })
        .unwrap_err();
    }

    #[test]
    fn who_says_nothing_or_too_little_is_not_waited_for() {
        for said in [0, 1, RESPONSE - 1] {
            let refused = guest(Duration::from_millis(20), |host| {
                let response = response(&challenge(host), &secret());
                host.write_all(&response[..said]).unwrap();
                // It hangs up first.
                assert_eq!(rest(host), b"");
            });
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }
}
