//! A stream, for as long as somebody has it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::ClientError;
use crate::mux::{Ended, Mux};
use crate::protocol::{Answer, Kind, MAX_PAYLOAD, ProtocolError, Request};

/// A stream. It is closed when the last who has it drops it.
#[derive(Debug)]
pub(super) struct Tenant {
    mux: Arc<Mux>,
    stream: u32,
}

/// Reads one of the stream's channels.
#[derive(Debug)]
pub(super) struct Reader {
    tenant: Arc<Tenant>,
    channel: u8,
}

/// Writes channel 0.
#[derive(Debug)]
pub(super) struct Writer {
    tenant: Arc<Tenant>,
}

impl Tenant {
    /// Opens a stream on the control port.
    pub(super) fn open(mux: &Arc<Mux>, request: &Request) -> Result<Arc<Self>, ClientError> {
        let request = serde_json::to_vec(request).map_err(|_| ClientError::TooLong(0))?;
        if request.len() > MAX_PAYLOAD {
            return Err(ClientError::TooLong(request.len()));
        }
        match (mux.open(request), mux.ended()) {
            (Some(stream), _) => Ok(Self::of(mux, stream)),
            (None, Some(ended)) => Err(ended.into()),
            (None, None) => Err(ClientError::TooMany),
        }
    }

    /// A stream that is open.
    pub(super) fn of(mux: &Arc<Mux>, stream: u32) -> Arc<Self> {
        Arc::new(Self {
            mux: Arc::clone(mux),
            stream,
        })
    }

    pub(super) fn stream(&self) -> u32 {
        self.stream
    }

    pub(super) fn close(&self) {
        self.mux.close(self.stream);
    }

    /// The next answer.
    pub(super) async fn answer(&self) -> Result<Answer, ClientError> {
        let answer = poll_fn(|cx| self.mux.poll_answer(self.stream, cx)).await;
        let answer = answer.map_err(|ended| ended.map_or(ClientError::Closed, Into::into))?;
        match serde_json::from_slice(&answer) {
            Ok(Answer::Failed { turn, reason }) => Err(ClientError::Refused { turn, reason }),
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.broken(ProtocolError::Payload {
                kind: Kind::Answer,
                reason: error.to_string(),
            })),
        }
    }

    /// The guest answered with something else than it may.
    pub(super) fn unexpected(&self) -> ClientError {
        self.broken(ProtocolError::Unexpected {
            kind: Kind::Answer,
            stream: self.stream,
        })
    }

    /// Who answers nonsense is not to be talked with.
    fn broken(&self, error: ProtocolError) -> ClientError {
        self.mux.end(Ended::Protocol(error.clone()), None);
        ClientError::Protocol(error)
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.mux.release(self.stream);
    }
}

impl Reader {
    pub(super) fn new(tenant: &Arc<Tenant>, channel: u8) -> Self {
        Self {
            tenant: Arc::clone(tenant),
            channel,
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let Tenant { mux, stream } = &*self.tenant;
        let out = buf.initialize_unfilled();
        let count = ready!(mux.poll_read(*stream, self.channel, out, cx))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.tenant.mux.discard(self.tenant.stream, self.channel);
    }
}

impl Writer {
    pub(super) fn new(tenant: &Arc<Tenant>) -> Self {
        Self {
            tenant: Arc::clone(tenant),
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Tenant { mux, stream } = &*self.tenant;
        mux.poll_write(*stream, 0, buf, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was taken is sent without being asked again.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Tenant { mux, stream } = &*self.tenant;
        mux.poll_finish(*stream, 0, cx)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.tenant.mux.finish(self.tenant.stream, 0);
    }
}
