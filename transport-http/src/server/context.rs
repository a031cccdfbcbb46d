//! What all connections of a server share.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use grange_interfaces::{Endpoint, Peer, Site, Stop};
use http::HeaderValue;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::sync::Semaphore;

use super::ServerConfig;
use crate::Limits;

/// Lines up to this many bytes are not counted against the memory for long ones.
pub(super) const SHORT_LINE: usize = 64 << 10;

/// Memory for lines is given out in pieces of this many bytes.
pub(super) const LINE_MEMORY_UNIT: usize = 1 << 10;

/// HTTP/1.1 reads and writes in pieces of up to this many bytes.
const BUFFER: usize = 64 << 10;

/// Bytes that one HTTP/2 stream, and one connection, may send before somebody has taken them.
const STREAM_WINDOW: u32 = 512 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Who answers.
#[derive(Clone, Debug)]
pub(super) enum Serves {
    /// Calls of the protocol.
    Calls(Arc<dyn Endpoint>),
    /// GET and HEAD.
    Pages(Arc<dyn Site>),
}

pub(super) struct Context {
    pub(super) serves: Serves,
    pub(super) limits: Limits,
    /// Who calls, if no credentials say so.
    pub(super) nobody: Peer,
    pub(super) calls: Arc<Semaphore>,
    pub(super) line_memory: Arc<Semaphore>,
    pub(super) stop: Stop,
    pub(super) http: Builder<TokioExecutor>,
    pub(super) about: Bytes,
    pub(super) server: HeaderValue,
}

impl Context {
    pub(super) fn new(serves: Serves, config: &ServerConfig, stop: Stop) -> Arc<Self> {
        let limits = config.limits.clone();
        let memory = limits
            .message_memory_bytes
            .div_ceil(LINE_MEMORY_UNIT)
            .min(Semaphore::MAX_PERMITS);
        let (first, last) = grange_interfaces::message::VERSIONS;
        let about = format!(
            "{}: a coordinator of Grange. It speaks versions {first} to {last} of Grange's protocol: \
             see the documentation of grange-transport-http.\n",
            config.software
        );
        Arc::new(Self {
            serves,
            nobody: if config.trusted {
                Peer::Local
            } else {
                Peer::Anonymous
            },
            calls: Arc::new(Semaphore::new(limits.calls)),
            line_memory: Arc::new(Semaphore::new(memory)),
            stop,
            http: builder(&limits),
            about: Bytes::from(about),
            server: HeaderValue::from_str(&config.software)
                .unwrap_or_else(|_| HeaderValue::from_static("grange")),
            limits,
        })
    }
}

/// hyper's own timers for headers are not used: they run while a connection is idle, too. See
/// [`Watch`](super::watch::Watch).
fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .max_buf_size(BUFFER.max(limits.header_bytes))
        .header_read_timeout(None)
        .half_close(false);
    let defaults = Limits::default();
    if limits.headers != defaults.headers {
        // hyper's own 100 need no allocation.
        builder.http1().max_headers(limits.headers);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(limits.stall_time / 3)
        .keep_alive_timeout(limits.stall_time / 3);
    builder
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("serves", &self.serves)
            .finish_non_exhaustive()
    }
}
