//! The host's end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lexpr::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use super::{SecretsError, datum};

/// A regular file, in `st_mode`.
const REGULAR: u32 = 0o100_000;
/// Between two tries to reach a guest that is booting.
const PAUSE: Duration = Duration::from_millis(500);

/// A secret, and where the guest shall have it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// Its path in the guest, absolute.
    pub path: String,
    /// Its permissions, such as 0o600.
    pub mode: u32,
    /// What is in it.
    pub contents: Vec<u8>,
}

impl std::fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.contents.len();
        write!(
            f,
            "SecretFile({:?}, {:o}, {bytes} bytes)",
            self.path, self.mode
        )
    }
}

/// Sends secrets to a guest that has just been connected to, in the order of their paths.
///
/// # Errors
///
/// The other end is no guest that waits for secrets, or goes away. That all went well does not say that the guest has written anything.
pub async fn send_secrets(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    secrets: &[SecretFile],
) -> Result<(), SecretsError> {
    let greeting = datum::read(stream).await?;
    let (version, _) = datum::open(&greeting, "secret-service-server")?;
    if version != 0 {
        return Err(SecretsError::Version(version));
    }
    let mut secrets: Vec<&SecretFile> = secrets.iter().collect();
    secrets.sort_by(|a, b| a.path.cmp(&b.path));
    let files = secrets.iter().map(|secret| {
        Value::list([
            Value::string(&*secret.path),
            Value::from(secret.contents.len() as u64),
            Value::from(REGULAR | (secret.mode & 0o7777)),
        ])
    });
    let version = Value::list([Value::symbol("version"), Value::from(0)]);
    let files = Value::list([Value::symbol("files"), Value::list(files)]);
    let head = Value::list([Value::symbol("secrets"), version, files]).to_string();
    let mut write = head.into_bytes();
    for secret in secrets {
        stream
            .write_all(&write)
            .await
            .map_err(SecretsError::Connection)?;
        write.clone_from(&secret.contents);
    }
    stream
        .write_all(&write)
        .await
        .map_err(SecretsError::Connection)?;
    stream.shutdown().await.map_err(SecretsError::Connection)
}

/// Connects to a guest that is booting, as often as need be, and sends it secrets.
///
/// A forwarded port takes connections before anything listens in the guest, and closes them again: only the guest's greeting says that
/// it is there.
///
/// # Errors
///
/// Nothing in the guest has asked for secrets within `limit`, or what [`send_secrets`] says.
pub async fn connect_and_send(
    address: SocketAddr,
    secrets: &[SecretFile],
    limit: Duration,
) -> Result<(), SecretsError> {
    let end = Instant::now() + limit;
    let nobody = || SecretsError::Nobody(limit.as_secs());
    loop {
        let trying = async {
            let connected = TcpStream::connect(address).await;
            let mut stream = connected.map_err(SecretsError::Connection)?;
            send_secrets(&mut stream, secrets).await
        };
        match timeout_at(end, trying).await {
            Ok(Err(SecretsError::Connection(error))) if is_early(&error) => {}
            Ok(done) => return done,
            Err(_) => return Err(nobody()),
        }
        if timeout_at(end, sleep(PAUSE)).await.is_err() {
            return Err(nobody());
        }
    }
}

/// Whether it is what one sees of a guest that is not ready yet.
fn is_early(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionReset | UnexpectedEof
    )
}
