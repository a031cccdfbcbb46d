//! One connection.

use std::io::Result;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use futures::FutureExt;
use grange_fail_points::{Point, reach};
use grange_interfaces::Site;
use http::Method;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::answer;
use super::deadline::Deadline;
use super::head::{self, Head, Plain};
use super::send::Receiver;
use crate::server::context::Context;
use crate::server::replay::Replay;
use crate::server::service::page;
use crate::server::watch::Watch;

/// Bytes that are read together.
const READ: usize = 4 << 10;

/// Answers requests until the client has had enough, until `stop`, or until something comes that is no plain request:
/// then what hyper has to go on with is returned.
pub(in crate::server) async fn run(
    stream: TcpStream,
    context: &Arc<Context>,
    watch: &Arc<Watch>,
    site: &Arc<dyn Site>,
) -> Option<Replay> {
    let mut connection = Connection {
        stream,
        bytes: BytesMut::with_capacity(READ),
        answer: Vec::new(),
        deadline: Deadline::new(Instant::now() + context.limits.header_time),
        context,
        watch,
    };
    let cut = async {
        context.stop.stopped().await;
        sleep(context.limits.stop_time).await;
    };
    let odd = tokio::select! {
        biased;
        ended = connection.serve(site) => ended,
        () = cut => return None,
    };
    match odd {
        Ok(true) => Some(Replay::new(connection.bytes.freeze(), connection.stream)),
        Ok(false) => None,
        Err(error) => {
            tracing::debug!(%error, "a connection broke");
            None
        }
    }
}

struct Connection<'a> {
    stream: TcpStream,
    /// What was read and not understood yet.
    bytes: BytesMut,
    /// Room for the heads of answers.
    answer: Vec<u8>,
    deadline: Deadline,
    context: &'a Context,
    watch: &'a Arc<Watch>,
}

impl Connection<'_> {
    /// True if something odd came.
    async fn serve(&mut self, site: &Arc<dyn Site>) -> Result<bool> {
        loop {
            let plain = match self.next().await? {
                Some(Head::Plain(plain)) => plain,
                Some(_) => return Ok(true),
                None => return Ok(false),
            };
            if self.answer(site, plain).await? {
                return Ok(false);
            }
            let idle = self.context.limits.idle_time;
            self.deadline.set(Instant::now() + idle);
        }
    }

    /// The next request; none if there will not be one.
    async fn next(&mut self) -> Result<Option<Head>> {
        let limits = &self.context.limits;
        let mut begun = false;
        let mut stopped = pin!(self.context.stop.stopped());
        let mut told = pin!(self.watch.told_to_leave());
        loop {
            if !self.bytes.is_empty() {
                match head::read(&self.bytes, limits) {
                    Head::Partial => {}
                    whole => return Ok(Some(whole)),
                }
                if !begun {
                    begun = true;
                    self.deadline.set(Instant::now() + limits.header_time);
                }
            }
            self.bytes.reserve(READ);
            let read = tokio::select! {
                biased;
                read = self.stream.read_buf(&mut self.bytes) => read?,
                () = self.deadline.reached() => return Ok(None),
                // What has not come whole was not promised an answer.
                () = &mut stopped => return Ok(None),
                () = &mut told => return Ok(None),
            };
            if read == 0 {
                return Ok(None);
            }
        }
    }

    /// Answers a request; true if that was the last one.
    async fn answer(&mut self, site: &Arc<dyn Site>, plain: Plain) -> Result<bool> {
        self.bytes.advance(plain.length);
        let _busy = self.watch.request(false);
        let is_head = plain.parts.method == Method::HEAD;
        let page = AssertUnwindSafe(page(self.context, &**site, &plain.parts)).catch_unwind();
        let Ok((response, place)) = page.await else {
            tracing::error!(path = plain.parts.uri.path(), "a page panicked");
            return Ok(true);
        };
        let close = plain.close || self.context.stop.is_stopped();
        let receiver = Receiver {
            stream: &self.stream,
            stall_time: self.context.limits.stall_time,
        };
        answer::send(&receiver, response, is_head, close, &mut self.answer).await?;
        reach(Point::PageSent);
        drop(place);
        Ok(close)
    }
}
