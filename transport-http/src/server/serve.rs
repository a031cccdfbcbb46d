//! Accepting connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use grange_interfaces::{Endpoint, Refusal, Site, Stop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection;
use super::context::{Context, Serves};
use super::listener::{Accepted, Server, Tls};
use super::pages;
use super::places::{Place, Places};
use crate::codec::{MEDIA_TYPE, encode_reply};
use crate::io::BoxIo;

/// How many connections are turned away politely at once. Beyond, they are just closed.
const TURNED_AWAY: usize = 64;
const TURN_AWAY_TIME: Duration = Duration::from_secs(1);
/// How long one that shall leave may take. It has a second to say good-bye.
const ROOM_TIME: Duration = Duration::from_secs(3);
const TURN_AWAY_BYTES: u64 = 64 << 10;

impl Server {
    /// Answers calls with what `endpoint` says, until `stop`. Then it accepts no more connections,
    /// answers long polls as busy, lets other calls finish for up to
    /// [`stop_time`](crate::Limits::stop_time), cuts what still runs, and returns.
    pub async fn serve(self, endpoint: Arc<dyn Endpoint>, stop: Stop) {
        self.serve_all(Serves::Calls(endpoint), stop).await;
    }

    /// Shows `site` to whoever asks with GET or HEAD, and nothing else, until `stop`; limits are
    /// the same. Nobody is asked for credentials.
    pub async fn serve_site(self, site: Arc<dyn Site>, stop: Stop) {
        self.serve_all(Serves::Pages(site), stop).await;
    }

    async fn serve_all(self, serves: Serves, stop: Stop) {
        let Self {
            listener, config, ..
        } = self;
        let context = Context::new(serves, &config, stop.clone());
        let places = Places::new(&config.limits);
        let leavers = Arc::new(Semaphore::new(TURNED_AWAY));
        let mut connections = JoinSet::new();
        let mut stopped = std::pin::pin!(stop.stopped());
        loop {
            let accepted = tokio::select! {
                () = &mut stopped => break,
                Some(ended) = connections.join_next() => {
                    log_panic(ended);
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            let accepted = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            };
            if let Some(place) = places.take(&config.limits) {
                connections.spawn(serve_one(accepted, Arc::clone(&context), place));
                continue;
            }
            let leaver = Arc::clone(&leavers).try_acquire_owned();
            if places.make_room() {
                let (places, context) = (Arc::clone(&places), Arc::clone(&context));
                connections.spawn(async move {
                    let place = places.wait(&context.limits);
                    match timeout(ROOM_TIME, place).await {
                        Ok(Some(place)) => serve_one(accepted, context, place).await,
                        _ => turn_away(accepted, leaver.ok()).await,
                    }
                });
            } else if let Ok(leaver) = leaver {
                connections.spawn(turn_away(accepted, Some(leaver)));
            }
        }
        drop(listener);
        // Each connection ends by itself within the time to stop.
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    }
}

async fn serve_one(accepted: Accepted, context: Arc<Context>, place: Place) {
    let watch = Arc::clone(&place.watch);
    let io: BoxIo = match (accepted, &context.serves) {
        (Accepted::Plain(io), _) => io,
        (Accepted::Tcp(stream), Serves::Calls(_)) => Box::new(stream),
        (Accepted::Tcp(stream), Serves::Pages(site)) => {
            match pages::run(stream, &context, &watch, site).await {
                Some(rest) => Box::new(rest),
                None => return,
            }
        }
        (Accepted::Tls(stream, tls), _) => {
            let shaken = tokio::select! {
                io = handshake(stream, tls, context.limits.header_time) => io,
                () = context.stop.stopped() => None,
                () = watch.told_to_leave() => None,
            };
            let Some(io) = shaken else {
                return;
            };
            io
        }
    };
    connection::run(io, context, watch).await;
    drop(place);
}

async fn handshake(stream: TcpStream, tls: Tls, time: Duration) -> Option<BoxIo> {
    match timeout(time, tls.accept(stream)).await {
        Ok(Ok(io)) => Some(io),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}

/// Says that there is no room, and closes. Without a place among those who are told, it is just closed.
async fn turn_away(accepted: Accepted, leaver: Option<OwnedSemaphorePermit>) {
    let io: BoxIo = match accepted {
        _ if leaver.is_none() => return,
        Accepted::Plain(io) => io,
        Accepted::Tcp(stream) => Box::new(stream),
        Accepted::Tls(..) => return,
    };
    let _ = timeout(TURN_AWAY_TIME, say_busy(io)).await;
}

async fn say_busy(mut io: BoxIo) -> io::Result<()> {
    let refusal = Refusal::busy("there are too many connections", Duration::from_secs(1));
    let line = encode_reply(Err(&refusal));
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {MEDIA_TYPE}\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        line.len()
    );
    io.write_all(head.as_bytes()).await?;
    io.write_all(&line).await?;
    io.shutdown().await?;
    // What was sent is read away, so that the answer is not lost to a reset.
    tokio::io::copy(&mut io.take(TURN_AWAY_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}

/// Out of file descriptors or memory: the listener would say so again at once.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        return;
    }
    tracing::warn!(%error, "cannot accept connections");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended in a panic");
    }
}
