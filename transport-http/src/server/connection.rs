//! One connection.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use grange_fail_points::{Point, reach};
use grange_interfaces::{Endpoint, Stop};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::ServerConfig;
use super::context::{Context, Serves};
use super::service::respond;
use super::watch::{Verdict, Watch};
use crate::LimitsError;
use crate::io::BoxIo;

/// How long an idle connection may take to say good-bye.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves one stream of bytes, whatever it is: a child's standard input and output, a pipe in
/// memory. Of `config`, `tls` is not used: the stream is what it is. Returns when the other side
/// has closed it or does nothing with it, or some time after `stop`.
///
/// # Errors
///
/// `config.limits` cannot be worked with.
pub async fn serve_stream<S>(
    stream: S,
    endpoint: Arc<dyn Endpoint>,
    config: ServerConfig,
    stop: Stop,
) -> Result<(), LimitsError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    config.limits.check()?;
    let serves = Serves::Calls(endpoint);
    let watch = Watch::new(&config.limits);
    run(Box::new(stream), Context::new(serves, &config, stop), watch).await;
    Ok(())
}

/// Serves a connection until it ends.
pub(super) async fn run(io: BoxIo, context: Arc<Context>, watch: Arc<Watch>) {
    let service = service_fn(|request| {
        let answer = respond(Arc::clone(&context), Arc::clone(&watch), request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let io = TokioIo::new(Watched {
        io,
        watch: Arc::clone(&watch),
        wrote: false,
    });
    let mut connection = pin!(context.http.serve_connection(io, service));
    let mut stopped = pin!(context.stop.stopped());
    let mut ending = Ending::No;
    let mut look = Instant::now() + context.limits.header_time;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = %chain(&*error), "a connection broke");
                }
                return;
            }
            () = &mut stopped, if !matches!(ending, Ending::Stopped(_)) => {
                connection.as_mut().graceful_shutdown();
                ending = Ending::Stopped(Instant::now() + context.limits.stop_time);
            }
            () = watch.told_to_leave(), if matches!(ending, Ending::No) => {
                connection.as_mut().graceful_shutdown();
                ending = Ending::Idle(Instant::now() + FAREWELL);
            }
            () = sleep_until(ending.at().map_or(look, |end| end.min(look))) => {
                let now = Instant::now();
                match ending {
                    Ending::Stopped(end) if end <= now => return,
                    // A request may have come in just before it was told.
                    Ending::Idle(end) if end <= now && watch.is_busy() => {
                        ending = Ending::Idle(now + FAREWELL);
                    }
                    Ending::Idle(end) if end <= now => return,
                    _ => {}
                }
                match watch.verdict() {
                    Verdict::LookAgain(at) => look = at,
                    Verdict::Idle => {
                        look = now + FAREWELL;
                        if matches!(ending, Ending::No) {
                            connection.as_mut().graceful_shutdown();
                            ending = Ending::Idle(look);
                        }
                    }
                    Verdict::Stalled => {
                        tracing::debug!("a connection stalled and was closed");
                        return;
                    }
                }
            }
        }
    }
}

/// Whether a connection was told to end, and how long that may take.
#[derive(Clone, Copy, Debug)]
enum Ending {
    No,
    /// Nobody used it.
    Idle(Instant),
    /// The server stops.
    Stopped(Instant),
}

impl Ending {
    fn at(self) -> Option<Instant> {
        match self {
            Self::No => None,
            Self::Idle(at) | Self::Stopped(at) => Some(at),
        }
    }
}

/// An error and its causes, on a line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// A stream that tells its [`Watch`] when bytes come.
struct Watched {
    io: BoxIo,
    watch: Arc<Watch>,
    /// Whether something was written since it was flushed.
    wrote: bool,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.watch.bytes_came();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wrote = true;
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        if std::mem::take(&mut self.wrote) {
            reach(Point::AnswerSent);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wrote = true;
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
