//! A small coordinator that says what it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_interfaces::message::{Answer, Counts, ItemView, Message};
use grange_interfaces::{Body, Endpoint, Fault, Peer, Refusal};
use tokio::sync::{Notify, Semaphore};

/// What it was told, and what it does.
#[derive(Debug)]
pub(crate) struct Fake {
    /// How often it was called, hello included.
    pub(crate) calls: AtomicUsize,
    /// Bytes of bodies that it has taken.
    pub(crate) taken: AtomicU64,
    /// Bytes of bodies that it has given.
    pub(crate) given: Arc<AtomicU64>,
    /// Given a permit for each long poll that begins.
    pub(crate) polling: Semaphore,
    /// Given a permit for each answer body that is dropped.
    pub(crate) dropped: Arc<Semaphore>,
    /// Given a permit for each body that broke off.
    pub(crate) broken: Semaphore,
    /// A `Job` call waits for this.
    pub(crate) go_on: Notify,
    /// What it answers to hello.
    pub(crate) version: u16,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Self::speaking(1)
    }

    pub(crate) fn speaking(version: u16) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            given: Arc::default(),
            polling: Semaphore::new(0),
            dropped: Arc::new(Semaphore::new(0)),
            broken: Semaphore::new(0),
            go_on: Notify::new(),
            version,
        })
    }

    /// Returns when a long poll (or a `Job` call) has begun.
    pub(crate) async fn is_polled(&self) {
        self.polling.acquire().await.unwrap().forget();
    }

    /// `length` bytes, counted, with a permit when they are dropped.
    fn give(&self, length: u64) -> Body {
        let given = Arc::clone(&self.given);
        let dropped = Dropped(Arc::clone(&self.dropped));
        zeroes(length)
            .inspect(move |chunk| {
                let _held = &dropped;
                given.fetch_add(
                    chunk.as_ref().map_or(0, |chunk| chunk.len() as u64),
                    Ordering::SeqCst,
                );
            })
            .boxed()
    }

    async fn take(&self, body: Option<Body>) -> Result<Answer, Refusal> {
        let mut body = body.expect("the transport hands over a body where the message has one");
        let mut length = 0;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| {
                self.broken.add_permits(1);
                Refusal::new(
                    Fault::Peer,
                    format!("the body broke off after {length} bytes: {error}"),
                )
            })?;
            length += chunk.len() as u64;
            self.taken.fetch_add(chunk.len() as u64, Ordering::SeqCst);
        }
        Ok(Answer::Offset(length))
    }
}

#[async_trait]
impl Endpoint for Fake {
    async fn call(
        &self,
        peer: &Peer,
        message: Message,
        body: Option<Body>,
    ) -> Result<(Answer, Option<Body>), Refusal> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let answer = match message {
            Message::Hello { .. } => Answer::Hello {
                version: self.version,
                software: "fake 1".into(),
                store_dirs: vec!["/gnu/store".into()],
            },
            Message::Counts => Answer::Counts(Counts {
                agents: 7,
                ..Counts::default()
            }),
            // Who calls.
            Message::NewPassword { .. } => Answer::Password(name_of(peer)),
            Message::AppendLog { .. } | Message::AppendUpload { .. } | Message::PutItems { .. } => {
                self.take(body).await?
            }
            // Does not read its body.
            Message::PutDerivations => Answer::Done,
            // Refused as its first one says.
            Message::Lacking { derivations, .. } => {
                let fault = serde_json::from_str(&format!("{:?}", derivations[0])).unwrap();
                return Err(Refusal {
                    fault,
                    message: "as you wish".into(),
                    retry_after_ms: Some(2500),
                });
            }
            Message::Facts { .. } => {
                self.polling.add_permits(1);
                std::future::pending().await
            }
            Message::Job { .. } => {
                self.polling.add_permits(1);
                self.go_on.notified().await;
                Answer::Done
            }
            Message::Agents => panic!("as the test wants"),
            Message::FetchItem { path, offset } => {
                let size: u64 = path.rsplit('-').next().unwrap().parse().unwrap();
                let item = ItemView {
                    path,
                    nar_hash: String::new(),
                    nar_size: 0,
                    references: vec![],
                    deriver: None,
                    file_size: size,
                    file_hash: String::new(),
                    upstream: false,
                };
                return Ok((Answer::Item(item), Some(self.give(size - offset))));
            }
            // A body that breaks off, after 100,000 bytes.
            Message::Derivations { .. } => {
                let broken = stream::iter([Err(std::io::Error::other("the disk is gone"))]);
                return Ok((
                    Answer::Derivations,
                    Some(zeroes(100_000).chain(broken).boxed()),
                ));
            }
            // A body that never ends.
            Message::Log { .. } => {
                let answer = Answer::Log {
                    attempt: None,
                    offset: 0,
                    length: u64::MAX,
                    complete: false,
                };
                return Ok((answer, Some(self.give(u64::MAX))));
            }
            other => {
                return Err(Refusal::new(
                    Fault::Caller,
                    format!("not by a fake: {other:?}"),
                ));
            }
        };
        Ok((answer, None))
    }
}

struct Dropped(Arc<Semaphore>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// So many bytes, in pieces of 64 KiB that all are the same memory.
pub(crate) fn zeroes(length: u64) -> Body {
    const PIECE: u64 = 64 << 10;
    let piece = Bytes::from(vec![0; PIECE as usize]);
    stream::unfold(length, move |left| {
        let next = piece.slice(..left.min(PIECE) as usize);
        async move { (left > 0).then(|| (Ok(next.clone()), left - next.len() as u64)) }
    })
    .boxed()
}

/// `anonymous`, `local`, `token SECRET`, `agent ID SECRET`.
fn name_of(peer: &Peer) -> String {
    match peer {
        Peer::Anonymous => "anonymous".into(),
        Peer::Local => "local".into(),
        Peer::Token(secret) => format!("token {}", secret.0),
        Peer::Agent { id, password } => format!("agent {id} {}", password.0),
    }
}
