//! What a response brings: the answer's line, then the answer's body.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use hyper::body::{Body as _, Incoming};

use super::errors;
use super::pool::{Connection, Pool};
use crate::patience::Patience;

/// A response's bytes. Read to the end, they give the connection back.
pub(super) struct AnswerBytes {
    incoming: Option<Incoming>,
    /// Bytes that were read with the line and come first.
    pushed_back: Bytes,
    patience: Patience,
    connection: Option<(Connection, Arc<Pool>)>,
}

impl AnswerBytes {
    pub(super) fn new(
        incoming: Incoming,
        patience: Patience,
        connection: Connection,
        pool: Arc<Pool>,
    ) -> Self {
        Self {
            incoming: Some(incoming),
            pushed_back: Bytes::new(),
            patience,
            connection: Some((connection, pool)),
        }
    }

    /// Reads up to the line feed, or to the end; at most `longest` bytes.
    pub(super) async fn line(&mut self, longest: usize) -> io::Result<Bytes> {
        let mut long = BytesMut::new();
        while let Some(chunk) = self.next().await {
            let mut chunk = chunk?;
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let here = end.unwrap_or(chunk.len());
            if long.len() + here > longest {
                return Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    format!("the answer's line has more than {longest} bytes"),
                ));
            }
            if let Some(end) = end {
                self.pushed_back = chunk.split_off(end + 1);
                chunk.truncate(end);
                // Most answers come in one piece and are not copied.
                if long.is_empty() {
                    return Ok(chunk);
                }
            }
            long.extend_from_slice(&chunk);
            if end.is_some() {
                break;
            }
        }
        Ok(long.freeze())
    }

    /// Reads to the end; says whether there was nothing more.
    pub(super) async fn end(&mut self) -> io::Result<bool> {
        match self.next().await {
            None => Ok(true),
            Some(Ok(_)) => Ok(false),
            Some(Err(error)) => Err(error),
        }
    }

    fn ended(&mut self) {
        self.incoming = None;
        if let Some((Connection::Http1(connection), pool)) = self.connection.take() {
            pool.give_back(connection);
        }
    }

    fn broken(&mut self, kind: io::ErrorKind, why: String) -> io::Error {
        self.incoming = None;
        self.connection = None;
        io::Error::new(kind, why)
    }
}

impl Stream for AnswerBytes {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if !this.pushed_back.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut this.pushed_back))));
        }
        loop {
            let Some(incoming) = &mut this.incoming else {
                return Poll::Ready(None);
            };
            match Pin::new(incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing here.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    if data.is_empty() {
                        continue;
                    }
                    this.patience.received(data.len());
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Ready(Some(Err(error))) => {
                    let error = this.broken(io::ErrorKind::UnexpectedEof, errors::chain(&error));
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    this.ended();
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    ready!(this.patience.poll_over(cx));
                    let error = this.broken(
                        io::ErrorKind::TimedOut,
                        "the answer's bytes came too slowly".into(),
                    );
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}
