//! What a request brings: the message's line, then the message's body.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use grange_interfaces::{Fault, Refusal};
use http::header::EXPECT;
use hyper::body::{Body as _, Incoming};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::context::{LINE_MEMORY_UNIT, SHORT_LINE};
use super::watch::Watch;
use crate::Limits;
use crate::patience::Patience;

/// How much of a body that nobody wants is read all the same, so that the sender gets to see the
/// answer. A connection that is closed with unread bytes is reset, and what is on its way is lost;
/// and some clients take the reset of an HTTP/2 stream for an error, even behind a whole answer.
const DRAIN_BYTES: u64 = 16 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Why a body was cut, for who gets the endpoint's answer.
pub(super) type Cut = Arc<OnceLock<Refusal>>;

/// A request's bytes as they come, within the limits.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Option<Incoming>,
    /// Bytes that were read with the line and come first.
    pushed_back: Bytes,
    left: u64,
    limit: u64,
    patience: Patience,
    watch: Arc<Watch>,
    cut: Cut,
    /// The sender waits for our word before it sends: RFC 9110, 10.1.1. Reading is that word.
    expects: bool,
}

/// A message's line, without its line feed.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) bytes: Bytes,
    /// Its share of the memory for long lines.
    pub(super) memory: Option<OwnedSemaphorePermit>,
}

impl RequestBody {
    pub(super) fn new(
        incoming: Incoming,
        head: &http::request::Parts,
        limits: &Limits,
        watch: &Arc<Watch>,
    ) -> Self {
        Self {
            incoming: Some(incoming),
            pushed_back: Bytes::new(),
            left: u64::MAX,
            limit: u64::MAX,
            patience: Patience::new(limits.stall_time, limits.min_bytes_per_second),
            watch: Arc::clone(watch),
            cut: Cut::default(),
            expects: head.headers.contains_key(EXPECT),
        }
    }

    /// Why the body was cut, if it is.
    pub(super) fn cut(&self) -> Cut {
        Arc::clone(&self.cut)
    }

    /// Reads up to the line feed, or to the end.
    pub(super) async fn line(
        &mut self,
        longest: usize,
        memory: &Arc<Semaphore>,
    ) -> Result<Line, Refusal> {
        let mut line = Line {
            bytes: Bytes::new(),
            memory: None,
        };
        let mut long = BytesMut::new();
        while let Some(chunk) = self.next().await {
            let mut chunk = chunk.map_err(|error| {
                let broken =
                    || Refusal::new(Fault::Caller, format!("the message broke off: {error}"));
                self.cut.get().cloned().unwrap_or_else(broken)
            })?;
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let here = end.unwrap_or(chunk.len());
            if long.len() + here > longest {
                let what = format!("the message's line has more than {longest} bytes");
                return Err(self.refuse(Refusal::new(Fault::Caller, what)));
            }
            reserve(&mut line.memory, long.len() + here, memory)?;
            if let Some(end) = end {
                self.pushed_back = chunk.split_off(end + 1);
                chunk.truncate(end);
            }
            // Most messages come in one piece and are not copied.
            if end.is_some() && long.is_empty() {
                line.bytes = chunk;
                return Ok(line);
            }
            long.extend_from_slice(&chunk);
            if end.is_some() {
                break;
            }
        }
        line.bytes = long.freeze();
        Ok(line)
    }

    /// Lets at most `limit` bytes come from here on.
    ///
    /// # Errors
    ///
    /// [`Fault::Caller`] if it is known already that there are more.
    pub(super) fn limit(&mut self, limit: u64) -> Result<(), Refusal> {
        self.limit = limit;
        self.left = limit;
        let announced = self
            .incoming
            .as_ref()
            .map_or(0, |incoming| incoming.size_hint().lower());
        if self.pushed_back.len() as u64 + announced > limit {
            return Err(self.refuse(too_large(limit)));
        }
        Ok(())
    }

    /// Demands that there are no more bytes.
    pub(super) async fn end(&mut self) -> Result<(), Refusal> {
        match self.next().await {
            None => Ok(()),
            Some(Err(error)) => Err(self.cut.get().cloned().unwrap_or_else(|| {
                Refusal::new(Fault::Caller, format!("the message broke off: {error}"))
            })),
            Some(Ok(_)) => Err(Refusal::new(
                Fault::Caller,
                "bytes follow the message's line, and this message has no body",
            )),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        self.cut.get_or_init(|| refusal).clone()
    }

    fn cut_off(&mut self, kind: io::ErrorKind, refusal: Refusal) -> io::Error {
        let error = io::Error::new(kind, refusal.message.clone());
        self.refuse(refusal);
        self.pushed_back = Bytes::new();
        error
    }
}

fn too_large(limit: u64) -> Refusal {
    Refusal::new(
        Fault::Caller,
        format!("the body has more than {limit} bytes"),
    )
}

/// Takes memory for a line of `length` bytes, if it is a long one.
fn reserve(
    held: &mut Option<OwnedSemaphorePermit>,
    length: usize,
    memory: &Arc<Semaphore>,
) -> Result<(), Refusal> {
    if length <= SHORT_LINE {
        return Ok(());
    }
    let wanted = length.div_ceil(LINE_MEMORY_UNIT);
    let more = wanted.saturating_sub(held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
    if more == 0 {
        return Ok(());
    }
    let more = u32::try_from(more).unwrap_or(u32::MAX);
    let permit = Arc::clone(memory)
        .try_acquire_many_owned(more)
        .map_err(|_| {
            Refusal::busy(
                "too many long messages are being read",
                Duration::from_secs(1),
            )
        })?;
    match held {
        Some(held) => held.merge(permit),
        None => *held = Some(permit),
    }
    Ok(())
}

impl Stream for RequestBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let chunk = if this.pushed_back.is_empty() {
            match ready!(this.poll_incoming(cx)) {
                Some(Ok(chunk)) => chunk,
                other => return Poll::Ready(other),
            }
        } else {
            std::mem::take(&mut this.pushed_back)
        };
        match this.left.checked_sub(chunk.len() as u64) {
            Some(left) => {
                this.left = left;
                Poll::Ready(Some(Ok(chunk)))
            }
            None => {
                let refusal = too_large(this.limit);
                Poll::Ready(Some(
                    Err(this.cut_off(io::ErrorKind::FileTooLarge, refusal)),
                ))
            }
        }
    }
}

impl RequestBody {
    fn poll_incoming(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            let Some(incoming) = &mut self.incoming else {
                return Poll::Ready(None);
            };
            self.expects = false;
            match Pin::new(incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing here.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    if data.is_empty() {
                        continue;
                    }
                    self.patience.received(data.len());
                    self.watch.progress();
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Ready(Some(Err(error))) => {
                    self.incoming = None;
                    return Poll::Ready(Some(Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        error,
                    ))));
                }
                Poll::Ready(None) => {
                    self.incoming = None;
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    ready!(self.patience.poll_over(cx));
                    self.incoming = None;
                    let refusal = Refusal::busy(
                        "the bytes of the request came too slowly",
                        Duration::from_secs(1),
                    );
                    return Poll::Ready(Some(Err(self.cut_off(io::ErrorKind::TimedOut, refusal))));
                }
            }
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(mut incoming) = self.incoming.take() else {
            return;
        };
        if self.expects || incoming.is_end_stream() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let drained = async {
                let mut left = DRAIN_BYTES;
                while let Some(Ok(frame)) =
                    std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await
                {
                    let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                    let Some(less) = left.checked_sub(bytes) else {
                        break;
                    };
                    left = less;
                }
            };
            let _ = tokio::time::timeout(DRAIN_TIME, drained).await;
        });
    }
}
