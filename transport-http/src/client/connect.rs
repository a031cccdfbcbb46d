//! Opening connections.

use std::io;
use std::time::Duration;

use grange_interfaces::{Fault, Refusal};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::config::{ClientConfig, HttpVersion};
use super::errors;
use super::url::CoordinatorUrl;
use crate::TlsError;
use crate::io::BoxIo;
use crate::tls;

/// Why there can be no client. It is the operator's turn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Whom to trust.
    #[error("the certificates of trusted CAs cannot be used")]
    Tls(#[source] TlsError),
    /// Certificates are for host names and addresses.
    #[error("{0:?} is no name that a certificate can have")]
    Name(String),
}

/// Opens connections to one coordinator.
pub(super) struct Connector {
    url: CoordinatorUrl,
    name: String,
    tls: Option<Tls>,
    http: HttpVersion,
    time: Duration,
}

struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    trusted: String,
}

/// A connection on which nothing was said yet.
pub(super) struct Connected {
    pub(super) io: BoxIo,
    pub(super) http2: bool,
}

impl Connector {
    pub(super) fn new(url: CoordinatorUrl, config: &ClientConfig) -> Result<Self, ConnectError> {
        let tls = match &url {
            CoordinatorUrl::Https { host, .. } => Some(Tls {
                connector: TlsConnector::from(
                    tls::client(&config.ca, alpn(config.http)).map_err(ConnectError::Tls)?,
                ),
                name: ServerName::try_from(host.clone())
                    .map_err(|_| ConnectError::Name(host.clone()))?,
                trusted: config.ca.to_string(),
            }),
            _ => None,
        };
        Ok(Self {
            name: url.to_string(),
            url,
            tls,
            http: config.http,
            time: config.connect_time,
        })
    }

    /// Whether all calls may go over one connection, so that only one need be opened.
    pub(super) fn may_share(&self) -> bool {
        match self.http {
            HttpVersion::Auto => self.tls.is_some(),
            HttpVersion::Http1 => false,
            HttpVersion::Http2 => true,
        }
    }

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// [`Fault::Busy`] if nobody was reached, [`Fault::Operator`] if who was reached is not trusted.
    pub(super) async fn connect(&self) -> Result<Connected, Refusal> {
        timeout(self.time, self.open()).await.unwrap_or_else(|_| {
            Err(errors::unreachable(
                &self.name,
                &format!("no answer within {:?}", self.time),
            ))
        })
    }

    async fn open(&self) -> Result<Connected, Refusal> {
        let stream = match &self.url {
            CoordinatorUrl::Unix(path) => {
                let stream = UnixStream::connect(path)
                    .await
                    .map_err(|error| self.no_socket(&error))?;
                return Ok(Connected {
                    io: Box::new(stream),
                    http2: self.http == HttpVersion::Http2,
                });
            }
            CoordinatorUrl::Http { host, port } | CoordinatorUrl::Https { host, port } => {
                connect_tcp(host, *port)
                    .await
                    .map_err(|error| errors::unreachable(&self.name, &errors::chain(&error)))?
            }
        };
        // Fails only if the other side has gone already, which shows soon enough.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return Ok(Connected {
                io: Box::new(stream),
                http2: self.http == HttpVersion::Http2,
            });
        };
        let stream = tls
            .connector
            .connect(tls.name.clone(), stream)
            .await
            .map_err(|error| errors::tls(&self.name, &tls.name.to_str(), &tls.trusted, &error))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        if self.http == HttpVersion::Http2 && !http2 {
            let what = format!("{} does not speak HTTP/2", self.name);
            return Err(Refusal::new(Fault::Operator, what));
        }
        Ok(Connected {
            io: Box::new(stream),
            http2,
        })
    }

    /// A socket that may not be opened does not become another by waiting.
    fn no_socket(&self, error: &io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Refusal::new(
                Fault::Forbidden,
                format!("cannot open {}: {error}", self.name),
            ),
            _ => errors::unreachable(&self.name, &errors::chain(error)),
        }
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Tries each address of the host in turn.
async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = None;
    for address in lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host has no address")))
}

fn alpn(http: HttpVersion) -> Vec<Vec<u8>> {
    let (http2, http1) = (b"h2".to_vec(), b"http/1.1".to_vec());
    match http {
        HttpVersion::Auto => vec![http2, http1],
        HttpVersion::Http1 => vec![http1],
        HttpVersion::Http2 => vec![http2],
    }
}

/// Says so if passwords go over a network unencrypted.
pub(super) fn warn_if_readable(url: &CoordinatorUrl) {
    let CoordinatorUrl::Http { host, .. } = url else {
        return;
    };
    let loopback = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if !loopback {
        tracing::warn!(%url, "passwords and tokens travel readable over the network: use https");
    }
}
