//! Speaking to a guest by AF_VSOCK instead of a serial port.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout_at;

use super::error::ClientError;
use super::guest::Guest;
use crate::protocol::handshake::{CHALLENGE, HostHandshake, PROOF};
use crate::protocol::{Answer, ChannelSecret, Request, VERSION_OF_LISTEN, VsockAddress};
use crate::sys;

/// CIDs below are the hypervisor's, a machine's own, and the host's.
const FIRST_CID: u32 = 3;
/// So many are tried.
const CIDS: u32 = 4096;

/// A host's device for a guest's AF_VSOCK, with a CID that no other guest has for as long as it is open: here, or in an emulator.
#[derive(Debug)]
pub struct VsockDevice {
    device: OwnedFd,
    cid: u32,
}

impl VsockDevice {
    /// Opens the device at `path`, which is `/dev/vhost-vsock`, and takes the first CID that is free.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or all CIDs are taken.
    pub fn claim(path: &Path) -> io::Result<Self> {
        let device = OpenOptions::new().read(true).write(true).open(path)?;
        let taken = rustix::io::Errno::ADDRINUSE;
        for cid in FIRST_CID..FIRST_CID + CIDS {
            match sys::claim_cid(device.as_fd(), cid) {
                Ok(()) => {
                    return Ok(Self {
                        device: device.into(),
                        cid,
                    });
                }
                Err(error) if error.raw_os_error() == Some(taken.raw_os_error()) => {}
                Err(error) => return Err(error),
            }
        }
        Err(taken.into())
    }

    /// The guest's CID.
    #[must_use]
    pub fn cid(&self) -> u32 {
        self.cid
    }
}

impl From<VsockDevice> for OwnedFd {
    fn from(device: VsockDevice) -> Self {
        device.device
    }
}

impl Guest {
    /// Has the guest listen on AF_VSOCK, from now on for whoever comes from the CID `peer` (2 is the host) and knows `secret`, and nobody else.
    /// Gives the port. Each connection there is a conversation of its own, which ends nothing of others.
    ///
    /// # Errors
    ///
    /// [`ClientError::Old`] if the guest cannot yet, [`ClientError::Refused`] if its kernel has no AF_VSOCK; otherwise how the connection failed.
    pub async fn listen(&self, secret: &ChannelSecret, peer: u32) -> Result<u32, ClientError> {
        if self.welcome().version < VERSION_OF_LISTEN {
            return Err(ClientError::Old);
        }
        let tenant = self.open(&Request::Listen {
            secret: secret.clone(),
            peer,
        })?;
        match tenant.answer().await? {
            Answer::Listening { port } => Ok(port),
            _ => Err(tenant.unexpected()),
        }
    }

    /// Connects to a guest that listens at this address, each shows the other that it knows the secret, and they say hello; all of it
    /// until `deadline` at most. Must be called in a tokio runtime with I/O and time.
    ///
    /// # Errors
    ///
    /// [`ClientError::Stranger`] if who is there is not the guest, [`ClientError::Eof`] if it does not take us for the host,
    /// [`ClientError::TimedOut`] at the deadline; otherwise how the connection failed.
    pub async fn connect_vsock(
        address: VsockAddress,
        secret: &ChannelSecret,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        // The kernel gives up after 2 s.
        let connecting = tokio::task::spawn_blocking(move || socket(address));
        let socket = timeout_at(deadline.into(), connecting).await;
        let socket = socket.map_err(|_| ClientError::TimedOut)?;
        let socket = socket.map_err(io::Error::other).and_then(|socket| socket);
        let stream = socket.and_then(UnixStream::from_std).map_err(failed)?;
        Self::connect_proving(stream, address, secret, deadline).await
    }

    /// The same on a stream that leads to that address of the guest's in another way.
    ///
    /// # Errors
    ///
    /// As [`Self::connect_vsock`].
    pub async fn connect_proving<S>(
        mut stream: S,
        address: VsockAddress,
        secret: &ChannelSecret,
        deadline: Instant,
    ) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let proving = timeout_at(deadline.into(), prove(&mut stream, address, secret));
        proving.await.map_err(|_| ClientError::TimedOut)??;
        Self::connect(stream, deadline).await
    }
}

/// A socket that is connected to a guest. What is done with it then is the same for all families of sockets.
fn socket(address: VsockAddress) -> io::Result<StdStream> {
    let (family, kind) = (AddressFamily::VSOCK, SocketType::STREAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &sys::vsock(address))?;
    let stream = StdStream::from(socket);
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Shows the guest that we know the secret, and has it show that it does.
async fn prove(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    address: VsockAddress,
    secret: &ChannelSecret,
) -> Result<(), ClientError> {
    let mut challenge = [0; CHALLENGE];
    stream.read_exact(&mut challenge).await.map_err(failed)?;
    let responded = HostHandshake::respond(secret, address, rand::random(), &challenge);
    let (handshake, response) = responded.map_err(ClientError::Stranger)?;
    stream.write_all(&response).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let mut proof = [0; PROOF];
    stream.read_exact(&mut proof).await.map_err(failed)?;
    handshake.check(&proof).map_err(ClientError::Stranger)
}

/// Who is not believed is hung up on: with or without having been read.
fn failed(error: io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => ClientError::Eof,
        _ => ClientError::Io(Arc::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::HandshakeError;
    use crate::protocol::handshake::{GuestHandshake, RESPONSE};

    const ADDRESS: VsockAddress = VsockAddress { cid: 3, port: 1025 };

    fn secret() -> ChannelSecret {
        ChannelSecret::new([7; 32])
    }

    /// What comes of a host to which `guest` says this, and what the host answers.
    async fn meet(said: impl AsRef<[u8]>, then: [u8; PROOF]) -> (ClientError, Vec<u8>) {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let guest = async {
            theirs.write_all(said.as_ref()).await.unwrap();
            let mut heard = vec![0; RESPONSE];
            if theirs.read_exact(&mut heard).await.is_ok() {
                theirs.write_all(&then).await.unwrap();
                theirs.read_to_end(&mut heard).await.unwrap();
            }
            heard
        };
        let secret = secret();
        let host = Guest::connect_proving(ours, ADDRESS, &secret, deadline);
        let (met, heard) = tokio::join!(host, guest);
        (met.unwrap_err(), heard)
    }

    #[tokio::test]
    async fn who_is_not_the_guest_hears_no_frame() {
        let challenge = GuestHandshake::new(secret(), ADDRESS, [1; 32]).challenge();
        let (error, heard) = meet(challenge, [7; PROOF]).await;
        let expected = HandshakeError::Proof;
        assert!(
            matches!(error, ClientError::Stranger(why) if why == expected),
            "{error}"
        );
        assert_eq!(heard.len(), RESPONSE);

        let (error, _) = meet([0xe7; CHALLENGE], [0; PROOF]).await;
        let expected = HandshakeError::Greeting;
        assert!(
            matches!(error, ClientError::Stranger(why) if why == expected),
            "{error}"
        );
    }

    #[tokio::test]
    async fn who_hangs_up_or_says_nothing_is_not_waited_for() {
        let soon = Instant::now() + Duration::from_millis(20);
        let (theirs, ours) = UnixStream::pair().unwrap();
        let silent = Guest::connect_proving(ours, ADDRESS, &secret(), soon).await;
        assert!(matches!(silent, Err(ClientError::TimedOut)), "{silent:?}");
        drop(theirs);

        let (mut theirs, ours) = UnixStream::pair().unwrap();
        theirs.write_all(&[0; CHALLENGE - 1]).await.unwrap();
        drop(theirs);
        let later = Instant::now() + Duration::from_secs(60);
        let cut = Guest::connect_proving(ours, ADDRESS, &secret(), later).await;
        assert!(matches!(cut, Err(ClientError::Eof)), "{cut:?}");
    }

    #[test]
    fn a_host_without_the_device_is_told() {
        let error = VsockDevice::claim(Path::new("/nowhere/vhost-vsock")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
