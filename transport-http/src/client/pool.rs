//! Connections that are open.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use grange_interfaces::Refusal;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, timeout};

use super::config::ClientConfig;
use super::connect::{Connected, Connector};
use super::errors;
use super::sending::SendBody;
use crate::io::BoxIo;

/// How long a connection may take to become free once its last answer is read.
const SETTLE_TIME: Duration = Duration::from_millis(50);

/// Bytes that one HTTP/2 stream, and one connection, may receive before somebody has taken them.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Between pings on an HTTP/2 connection with calls, and until one must be answered.
const PING_TIME: Duration = Duration::from_secs(20);

/// The connections to one coordinator.
#[derive(Debug)]
pub(super) struct Pool {
    name: String,
    /// None if there is one stream and no way to make another.
    connector: Option<Connector>,
    /// HTTP/1.1 connections that no call uses, the last used last.
    free: Mutex<Vec<Free>>,
    /// The HTTP/2 connection.
    shared: Mutex<Option<http2::SendRequest<SendBody>>>,
    /// Held while a connection is opened that others may share.
    opening: tokio::sync::Mutex<()>,
    idle_time: Duration,
    idle_connections: usize,
}

#[derive(Debug)]
struct Free {
    connection: http1::SendRequest<SendBody>,
    since: Instant,
}

/// A connection that a call may use.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(http1::SendRequest<SendBody>),
    Http2(http2::SendRequest<SendBody>),
}

/// A connection, and whether it was used before.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) connection: Connection,
    pub(super) used_before: bool,
}

impl Pool {
    pub(super) fn new(name: String, connector: Connector, config: &ClientConfig) -> Arc<Self> {
        Arc::new(Self::with(name, Some(connector), None, config))
    }

    /// A pool with one HTTP/2 connection over `io`, that makes no others.
    pub(super) async fn over(
        name: String,
        io: BoxIo,
        config: &ClientConfig,
    ) -> Result<Arc<Self>, Refusal> {
        let connection = open_http2(io)
            .await
            .map_err(|error| errors::broken(&name, &errors::chain(&error)))?;
        Ok(Arc::new(Self::with(name, None, Some(connection), config)))
    }

    fn with(
        name: String,
        connector: Option<Connector>,
        shared: Option<http2::SendRequest<SendBody>>,
        config: &ClientConfig,
    ) -> Self {
        Self {
            name,
            connector,
            free: Mutex::default(),
            shared: Mutex::new(shared),
            opening: tokio::sync::Mutex::default(),
            idle_time: config.idle_time,
            idle_connections: config.idle_connections,
        }
    }

    /// A connection: one that is open, if there is one and `fresh` is not demanded.
    pub(super) async fn take(&self, fresh: bool) -> Result<Taken, Refusal> {
        if !fresh && let Some(connection) = self.open_one().await {
            return Ok(Taken {
                connection,
                used_before: true,
            });
        }
        let Some(connector) = &self.connector else {
            return match self.shared() {
                Some(connection) => Ok(Taken {
                    connection,
                    used_before: true,
                }),
                None => Err(errors::broken(
                    &self.name,
                    "it has ended, and there is no way to make another",
                )),
            };
        };
        if !connector.may_share() {
            return self.open(connector).await;
        }
        let _opening = self.opening.lock().await;
        // Somebody else may have opened one meanwhile.
        match self.shared() {
            Some(connection) => Ok(Taken {
                connection,
                used_before: false,
            }),
            None => self.open(connector).await,
        }
    }

    /// Takes back a connection whose last answer was read to its end.
    pub(super) fn give_back(&self, connection: http1::SendRequest<SendBody>) {
        if connection.is_closed() {
            return;
        }
        let since = Instant::now();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let old = free
            .iter()
            .take_while(|free| since.duration_since(free.since) > self.idle_time)
            .count();
        free.drain(..old);
        if free.len() < self.idle_connections {
            free.push(Free { connection, since });
        }
    }

    /// Closes what no call uses: a call was given up because nobody answered, so that a firewall may have forgotten all
    /// connections that are older than now. Those that still work are no loss.
    pub(super) fn distrust(&self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.clear();
    }

    async fn open_one(&self) -> Option<Connection> {
        if let Some(connection) = self.shared() {
            return Some(connection);
        }
        loop {
            let Free {
                mut connection,
                since,
            } = self
                .free
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()?;
            if connection.is_closed() || since.elapsed() > self.idle_time {
                continue;
            }
            // Its task may not have run since the end of the answer was read.
            if connection.is_ready()
                || matches!(timeout(SETTLE_TIME, connection.ready()).await, Ok(Ok(())))
            {
                return Some(Connection::Http1(connection));
            }
        }
    }

    fn shared(&self) -> Option<Connection> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.as_ref().is_some_and(http2::SendRequest::is_closed) {
            *shared = None;
        }
        shared.clone().map(Connection::Http2)
    }

    async fn open(&self, connector: &Connector) -> Result<Taken, Refusal> {
        let Connected { io, http2 } = connector.connect().await?;
        let broken = |error: hyper::Error| errors::broken(&self.name, &errors::chain(&error));
        let connection = if http2 {
            let connection = open_http2(io).await.map_err(broken)?;
            *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
            Connection::Http2(connection)
        } else {
            let (sender, connection) = http1::Builder::new()
                .handshake(TokioIo::new(io))
                .await
                .map_err(broken)?;
            drive(connection);
            Connection::Http1(sender)
        };
        Ok(Taken {
            connection,
            used_before: false,
        })
    }
}

impl Connection {
    pub(super) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Sends a request, and returns what answers it.
    pub(super) async fn send(
        &mut self,
        request: http::Request<SendBody>,
    ) -> Result<http::Response<Incoming>, TrySendError<http::Request<SendBody>>> {
        match self {
            Self::Http1(connection) => connection.try_send_request(request).await,
            Self::Http2(connection) => connection.try_send_request(request).await,
        }
    }
}

async fn open_http2(io: BoxIo) -> Result<http2::SendRequest<SendBody>, hyper::Error> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_TIME)
        .keep_alive_timeout(PING_TIME)
        .handshake::<_, SendBody>(TokioIo::new(io))
        .await?;
    drive(connection);
    Ok(sender)
}

/// Moves a connection's bytes until nobody uses it or it breaks, which its calls notice.
fn drive(connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = errors::chain(&error), "a connection broke");
        }
    });
}
