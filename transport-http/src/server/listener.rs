//! What a server listens on.

use std::io;
use std::path::PathBuf;

use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::ServerConfig;
use crate::io::BoxIo;
use crate::tls;
use crate::unix::{self, SocketError, SocketFile};
use crate::{LimitsError, ListenAddress, TlsError};

/// A server that listens, and will answer once it is told to [`serve`](Self::serve).
#[derive(Debug)]
pub struct Server {
    pub(super) listener: Listener,
    pub(super) config: ServerConfig,
    address: ListenAddress,
}

/// Why a server cannot listen. It is the operator's turn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// A limit is out of its range.
    #[error("the limits cannot be worked with")]
    Limits(#[source] LimitsError),
    /// Everybody who reaches a TCP port would be trusted.
    #[error("only a Unix socket can be trusted, not {0}")]
    TrustedTcp(ListenAddress),
    /// TLS is for TCP.
    #[error("TLS is not spoken on {0}: leave the certificate out")]
    TlsOnUnix(ListenAddress),
    /// The certificate or its key.
    #[error("the certificate cannot be used")]
    Tls(#[source] TlsError),
    /// Another process listens there.
    #[error("another process is listening on {0}")]
    InUse(ListenAddress),
    /// There is a file that is no socket.
    #[error("{} is there already and is no socket", .0.display())]
    NotASocket(PathBuf),
    /// The system says no.
    #[error("cannot listen on {address}")]
    Io {
        /// Where.
        address: ListenAddress,
        /// Why.
        #[source]
        error: io::Error,
    },
}

#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener, Option<Tls>),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "held for its drop")] SocketFile,
    ),
}

#[derive(Clone)]
pub(super) struct Tls(TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// A connection that was accepted, before anything was said on it.
pub(super) enum Accepted {
    Plain(BoxIo),
    Tcp(TcpStream),
    Tls(TcpStream, Tls),
}

impl Server {
    /// Listens. A Unix socket gets mode 0600, whatever the umask, and replaces one that nobody
    /// listens on any more.
    ///
    /// # Errors
    ///
    /// Any [`BindError`].
    pub async fn bind(address: ListenAddress, config: ServerConfig) -> Result<Self, BindError> {
        config.limits.check().map_err(BindError::Limits)?;
        let io_error = |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address.clone()),
            _ => BindError::Io {
                address: address.clone(),
                error,
            },
        };
        let (listener, address) = match &address {
            ListenAddress::Tcp(_) if config.trusted => return Err(BindError::TrustedTcp(address)),
            ListenAddress::Unix(_) if config.tls.is_some() => {
                return Err(BindError::TlsOnUnix(address));
            }
            ListenAddress::Tcp(wanted) => {
                let tls = config
                    .tls
                    .as_ref()
                    .map(tls::server)
                    .transpose()
                    .map_err(BindError::Tls)?;
                let tls = tls.map(|config| Tls(TlsAcceptor::from(config)));
                let listener = TcpListener::bind(wanted).await.map_err(io_error)?;
                let given = listener.local_addr().map_err(io_error)?;
                (Listener::Tcp(listener, tls), ListenAddress::Tcp(given))
            }
            ListenAddress::Unix(path) => {
                let (listener, file) = unix::bind(path).map_err(|error| match error {
                    SocketError::InUse => BindError::InUse(address.clone()),
                    SocketError::NotASocket => BindError::NotASocket(path.clone()),
                    SocketError::Io(error) => io_error(error),
                })?;
                (Listener::Unix(listener, file), address)
            }
        };
        Ok(Self {
            listener,
            config,
            address,
        })
    }

    /// Where it listens, with the port that was chosen.
    #[must_use]
    pub fn local_addr(&self) -> &ListenAddress {
        &self.address
    }
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener, tls) => {
                let (stream, _) = listener.accept().await?;
                // Fails only if the other side has gone already, which shows soon enough.
                let _ = stream.set_nodelay(true);
                Ok(match tls {
                    Some(tls) => Accepted::Tls(stream, tls.clone()),
                    None => Accepted::Tcp(stream),
                })
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Plain(Box::new(stream)))
            }
        }
    }
}

impl Tls {
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<BoxIo> {
        Ok(Box::new(self.0.accept(stream).await?))
    }
}
