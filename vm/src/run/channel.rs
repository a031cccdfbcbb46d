//! By what a machine is spoken to.

use std::path::Path;
use std::time::Instant;

use grange_guest::client::{ClientError, Guest, VsockDevice};
use grange_guest::protocol::{ChannelSecret, VsockAddress};
use tokio::time::timeout_at;

use super::error::BootError;

/// The host's device of AF_VSOCK.
const DEVICE: &str = "/dev/vhost-vsock";
/// The host's CID: vsock(7).
const HOST: u32 = 2;

/// By what a machine is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Channel {
    /// A virtio-serial port: a socket that only the machine's user can open, and that every host has.
    #[default]
    Serial,
    /// AF_VSOCK, where the host has it. Anybody on the host can connect to a guest so: each connection has to prove that it knows a secret, which
    /// goes in by the serial port. That port is there all the same.
    Vsock,
}

impl Channel {
    /// What the emulator of such a machine is given.
    pub(super) fn device(self) -> Result<Option<VsockDevice>, BootError> {
        match self {
            Self::Serial => Ok(None),
            Self::Vsock => claim(Path::new(DEVICE)).map(Some),
        }
    }
}

fn claim(path: &Path) -> Result<VsockDevice, BootError> {
    VsockDevice::claim(path).map_err(|source| BootError::NoVsock {
        device: path.to_owned(),
        source,
    })
}

/// Gives a guest that is spoken to by its serial port a secret, and speaks to it by AF_VSOCK from then on.
pub(super) async fn move_to_vsock(
    guest: &Guest,
    cid: u32,
    deadline: Instant,
) -> Result<Guest, BootError> {
    let secret = ChannelSecret::new(rand::random());
    let listening = timeout_at(deadline.into(), guest.listen(&secret, HOST)).await;
    let port = listening.map_err(|_| ClientError::TimedOut)??;
    let address = VsockAddress { cid, port };
    Ok(Guest::connect_vsock(address, &secret, deadline).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_the_device_is_told_what_to_do() {
        let error = claim(Path::new("/nowhere/vhost-vsock")).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("/nowhere/vhost-vsock"), "{told}");
        assert!(
            told.contains("vhost_vsock") && told.contains("serial"),
            "{told}"
        );
        assert!(Channel::Serial.device().unwrap().is_none());
    }
}
