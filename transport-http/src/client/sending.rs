//! What a request brings: the message's line, then the message's body.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::task::AtomicWaker;
use grange_interfaces::Body;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A request's bytes.
pub(super) struct SendBody {
    line: Option<Bytes>,
    body: Option<(Body, Arc<Sending>)>,
}

/// How far a body has been sent, for who waits for the answer.
#[derive(Debug)]
pub(super) struct Sending {
    begun: Instant,
    /// When its bytes were last taken, in milliseconds since `begun`.
    progress: AtomicU64,
    /// The body has no bytes at the moment: the connection is not to blame.
    starved: AtomicBool,
    canceled: AtomicBool,
    waker: AtomicWaker,
    failure: Mutex<Option<String>>,
    failed: Notify,
}

impl SendBody {
    pub(super) fn new(line: Bytes, body: Option<Body>) -> (Self, Option<Arc<Sending>>) {
        let sending = body.is_some().then(|| {
            Arc::new(Sending {
                begun: Instant::now(),
                progress: AtomicU64::new(0),
                starved: AtomicBool::new(false),
                canceled: AtomicBool::new(false),
                waker: AtomicWaker::new(),
                failure: Mutex::new(None),
                failed: Notify::new(),
            })
        });
        let body = body.zip(sending.clone());
        (
            Self {
                line: Some(line),
                body,
            },
            sending,
        )
    }
}

impl Sending {
    /// Since when the connection could have made progress.
    pub(super) fn idle_since(&self) -> Instant {
        if self.starved.load(Ordering::Relaxed) {
            return Instant::now();
        }
        self.begun + Duration::from_millis(self.progress.load(Ordering::Relaxed))
    }

    /// Sends no more: the answer is here, and whatever it says, nobody reads the rest.
    pub(super) fn cancel(&self) {
        self.canceled.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Why the body could not be read, if that is so.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns when the body could not be read.
    pub(super) async fn failed(&self) {
        self.failed.notified().await;
    }

    fn made_progress(&self, starved: bool) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.progress.store(millis, Ordering::Relaxed);
        self.starved.store(starved, Ordering::Relaxed);
    }
}

impl HttpBody for SendBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(line) = self.line.take() {
            return Poll::Ready(Some(Ok(Frame::data(line))));
        }
        let Some((body, sending)) = &mut self.body else {
            return Poll::Ready(None);
        };
        sending.waker.register(cx.waker());
        if sending.canceled.load(Ordering::Acquire) {
            self.body = None;
            return Poll::Ready(Some(Err(io::Error::other(
                "the answer has come before all of the body was sent",
            ))));
        }
        loop {
            match body.poll_next_unpin(cx) {
                Poll::Pending => {
                    sending.made_progress(true);
                    return Poll::Pending;
                }
                // An empty chunk would look like the end to HTTP/1.1.
                Poll::Ready(Some(Ok(chunk))) if chunk.is_empty() => {}
                Poll::Ready(Some(Ok(chunk))) => {
                    sending.made_progress(false);
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                Poll::Ready(Some(Err(error))) => {
                    let why = super::errors::chain(&error);
                    *sending
                        .failure
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner) = Some(why);
                    sending.failed.notify_one();
                    self.body = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    sending.made_progress(false);
                    self.body = None;
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.line.is_none() && self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let line = self.line.as_ref().map_or(0, |line| line.len() as u64);
        if self.body.is_none() {
            return SizeHint::with_exact(line);
        }
        let mut hint = SizeHint::new();
        hint.set_lower(line);
        hint
    }
}
