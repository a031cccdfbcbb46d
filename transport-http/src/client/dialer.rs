//! Connections to a coordinator for somebody else to speak over.

use std::pin::Pin;
use std::task::{Context, Poll};

use grange_interfaces::Refusal;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::config::{ClientConfig, HttpVersion};
use super::connect::{ConnectError, Connector, warn_if_readable};
use super::url::CoordinatorUrl;
use crate::io::BoxIo;

/// Opens connections to a coordinator, over which somebody else speaks HTTP/1.1: an agent in a machine without a network, whose clock may be
/// years behind, so that it could not verify a certificate itself.
#[derive(Debug)]
pub struct Dialer(Connector);

/// A connection to a coordinator, on which nothing was said yet.
pub struct Dialed(BoxIo);

impl Dialer {
    /// Of the coordinator at `url`. Nothing is opened yet. Of `config`, it takes whom to trust and how long connecting may take.
    ///
    /// # Errors
    ///
    /// Any [`ConnectError`].
    pub fn new(url: CoordinatorUrl, mut config: ClientConfig) -> Result<Self, ConnectError> {
        config.http = HttpVersion::Http1;
        warn_if_readable(&url);
        Connector::new(url, &config).map(Self)
    }

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// [`grange_interfaces::Fault::Busy`] if nobody was reached, `Operator` if who was reached is not trusted.
    pub async fn dial(&self) -> Result<Dialed, Refusal> {
        self.0.connect().await.map(|connected| Dialed(connected.io))
    }
}

impl std::fmt::Debug for Dialed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dialed")
    }
}

impl AsyncRead for Dialed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Dialed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
