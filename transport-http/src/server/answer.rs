//! What a response brings: the answer's line, if it has one, then the answer's body.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::StreamExt;
use grange_fail_points::{Point, reach};
use grange_interfaces::Body;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::watch::RequestGuard;

/// A response's bytes. The request lasts as long as they do.
pub(super) struct AnswerBody {
    line: Option<Bytes>,
    body: Option<Body>,
    request: Option<RequestGuard>,
}

impl AnswerBody {
    pub(super) fn new(line: Bytes, body: Option<Body>, request: Option<RequestGuard>) -> Self {
        Self {
            // An empty chunk would look like the end to HTTP/1.1.
            line: Some(line).filter(|line| !line.is_empty()),
            body,
            request,
        }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(request) = &self.request {
            request.watch().progress();
        }
        if let Some(line) = self.line.take() {
            reach(Point::AnswerHanded);
            return Poll::Ready(Some(Ok(Frame::data(line))));
        }
        loop {
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            match ready!(body.poll_next_unpin(cx)) {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => return Poll::Ready(Some(Ok(Frame::data(chunk)))),
                Some(Err(error)) => {
                    let source = error.source().map(ToString::to_string);
                    tracing::warn!(%error, source, "the body of an answer broke off");
                    self.body = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => self.body = None,
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
