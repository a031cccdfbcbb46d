//! Calls over channels.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Body, Endpoint, Peer, Refusal, Stop};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Pieces of a body that may be on their way.
const PIECES: usize = 2;
/// The longest piece that arrives: short, so that tests with little have several.
const LONGEST: usize = 10_007;

type Reply = Result<(Answer, Option<Body>), Refusal>;

struct Call {
    peer: Peer,
    message: Message,
    body: Option<Body>,
    reply: oneshot::Sender<Reply>,
}

/// An [`Endpoint`] that calls another one through channels, for tests: as a network would, and
/// without one.
///
/// It is as unhelpful as the contract lets it be: bodies arrive cut into pieces of odd length, few of
/// which are ever on their way, and nobody is [`Peer::Local`].
#[derive(Clone)]
pub struct MemoryTransport {
    calls: mpsc::Sender<Call>,
}

/// The other end of a [`MemoryTransport`].
pub struct MemoryServer {
    calls: mpsc::Receiver<Call>,
}

impl MemoryTransport {
    /// A client, and who serves it.
    #[must_use]
    pub fn new() -> (Self, MemoryServer) {
        let (sender, receiver) = mpsc::channel(16);
        (Self { calls: sender }, MemoryServer { calls: receiver })
    }
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryTransport")
    }
}

impl fmt::Debug for MemoryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryServer")
    }
}

#[async_trait]
impl Endpoint for MemoryTransport {
    async fn call(&self, peer: &Peer, message: Message, body: Option<Body>) -> Reply {
        let gone = || Refusal::busy("nobody serves this any more", Duration::from_secs(1));
        let (reply, answer) = oneshot::channel();
        let (body, feed) = match body {
            Some(body) => {
                let (body, feed) = pipe(body);
                (Some(body), Some(feed))
            }
            None => (None, None),
        };
        let peer = match peer {
            Peer::Local => Peer::Anonymous,
            peer => peer.clone(),
        };
        let call = Call {
            peer,
            message,
            body,
            reply,
        };
        self.calls.send(call).await.map_err(|_| gone())?;
        // The body is fed from here, so that who drops the call drops what it reads from.
        let fed = async {
            match feed {
                Some(feed) => feed.await,
                None => Ok(()),
            }
        };
        tokio::pin!(fed);
        tokio::pin!(answer);
        let reply = tokio::select! {
            biased;
            reply = &mut answer => reply,
            fed = &mut fed => match fed {
                Ok(()) => answer.await,
                Err(error) => {
                    let message = format!("the body of the message broke off: {error}");
                    return Err(Refusal::new(grange_interfaces::Fault::Operator, message));
                }
            },
        };
        let (answer, body) = reply.map_err(|_| gone())??;
        let body = body.map(|body| {
            let (body, feed) = pipe(body);
            // It ends when the body has, or when nobody reads it any more.
            tokio::spawn(feed);
            body
        });
        Ok((answer, body))
    }
}

impl MemoryServer {
    /// Has `endpoint` answer until `stop` says so. Calls that run then are finished; those that wait
    /// for something to happen are refused.
    pub async fn serve(mut self, endpoint: Arc<dyn Endpoint>, stop: Stop) {
        let mut running = JoinSet::new();
        let (stopping, stopped) = watch::channel(false);
        loop {
            tokio::select! {
                biased;
                () = stop.stopped() => break,
                call = self.calls.recv() => match call {
                    Some(call) => {
                        running.spawn(answer(Arc::clone(&endpoint), call, stopped.clone()));
                    }
                    None => break,
                },
                Some(_) = running.join_next() => {}
            }
        }
        // What was not begun is refused: its reply is dropped with the channel.
        self.calls.close();
        drop(self);
        let _ = stopping.send(true);
        while running.join_next().await.is_some() {}
    }
}

/// Answers one call, unless the caller gives it up.
async fn answer(endpoint: Arc<dyn Endpoint>, call: Call, mut stopped: watch::Receiver<bool>) {
    let waits = matches!(
        call.message,
        Message::Exchange(_) | Message::Facts { .. } | Message::Log { .. }
    );
    let ends = async move {
        let _ = stopped.wait_for(|stopped| *stopped && waits).await;
    };
    let mut reply = call.reply;
    let answered = tokio::select! {
        biased;
        answered = endpoint.call(&call.peer, call.message, call.body) => answered,
        () = reply.closed() => return,
        () = ends => Err(Refusal::busy("the server is stopping", Duration::from_secs(1))),
    };
    // Whoever asked may have gone.
    let _ = reply.send(answered);
}

/// A body that is fed from elsewhere. It breaks off if that ends early.
fn pipe(mut from: Body) -> (Body, impl Future<Output = io::Result<()>> + Send + 'static) {
    let (sender, receiver) = mpsc::channel::<Option<io::Result<Bytes>>>(PIECES);
    let feed = async move {
        while let Some(piece) = from.next().await {
            let mut bytes = match piece {
                Ok(bytes) => bytes,
                Err(error) => {
                    let broken = io::Error::new(error.kind(), error.to_string());
                    let _ = sender.send(Some(Err(broken))).await;
                    return Err(error);
                }
            };
            while !bytes.is_empty() {
                let piece = bytes.split_to(bytes.len().min(LONGEST));
                if sender.send(Some(Ok(piece))).await.is_err() {
                    // Nobody wants the rest.
                    return Ok(());
                }
            }
        }
        let _ = sender.send(None).await;
        Ok(())
    };
    let body = stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Some(Ok(bytes))) => Some((Ok(bytes), Some(receiver))),
            Some(Some(Err(error))) => Some((Err(error), None)),
            Some(None) => None,
            None => Some((Err(io::ErrorKind::UnexpectedEof.into()), None)),
        }
    });
    (body.boxed(), feed)
}
