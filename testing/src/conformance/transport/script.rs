//! The far end: it does what a case says.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use grange_interfaces::message::{Answer, ItemView, Message, VERSIONS};
use grange_interfaces::{Body, Endpoint, Peer, Refusal};

pub(super) type Reply = Result<(Answer, Option<Body>), Refusal>;
type Part = Box<dyn Fn(Peer, Message, Option<Body>) -> BoxFuture<'static, Reply> + Send + Sync>;

/// An endpoint that says hello, and leaves the rest to a case.
pub(super) struct Script(Part);

impl Script {
    pub(super) fn endpoint<F>(
        part: impl Fn(Peer, Message, Option<Body>) -> F + Send + Sync + 'static,
    ) -> Arc<dyn Endpoint>
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Arc::new(Self(Box::new(move |peer, message, body| {
            Box::pin(part(peer, message, body))
        })))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

#[async_trait]
impl Endpoint for Script {
    async fn call(&self, peer: &Peer, message: Message, body: Option<Body>) -> Reply {
        // A transport may ask first which versions are spoken; no case says hello itself.
        if let Message::Hello { .. } = message {
            let answer = Answer::Hello {
                version: VERSIONS.1,
                software: "a conformance suite".into(),
                store_dirs: vec!["/gnu/store".into()],
            };
            return Ok((answer, None));
        }
        (self.0)(peer.clone(), message, body).await
    }
}

/// Whether a body comes with a message of this kind.
pub(super) fn has_body(message: &Message) -> bool {
    matches!(
        message,
        Message::AppendLog { .. }
            | Message::AppendUpload { .. }
            | Message::PutDerivations
            | Message::PutItems { .. }
    )
}

/// Whether a body comes with an answer of this kind.
pub(super) fn answer_has_body(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Log { .. } | Answer::Item(_) | Answer::Derivations
    )
}

/// A message with a body.
pub(super) fn append(offset: u64) -> Message {
    Message::AppendLog {
        attempt: crate::sample::attempt_id(1),
        offset,
    }
}

/// A message that is answered with a body.
pub(super) fn fetch(offset: u64) -> Message {
    Message::FetchItem {
        path: "/gnu/store/0123456789abcdfghijklmnpqrsvwxyz-x".into(),
        offset,
    }
}

/// The answer that a body comes with.
pub(super) fn item(size: u64) -> Answer {
    Answer::Item(ItemView {
        path: "/gnu/store/0123456789abcdfghijklmnpqrsvwxyz-x".into(),
        nar_hash: String::new(),
        nar_size: size,
        references: Vec::new(),
        deriver: None,
        file_size: size,
        file_hash: String::new(),
        upstream: false,
    })
}

/// A body of so many equal pieces of 64 KiB; `seen` is told of each.
pub(super) fn pieces(count: u64, mut seen: impl FnMut() + Send + 'static) -> Body {
    let piece = Bytes::from(vec![7; PIECE as usize]);
    stream::iter(0..count)
        .map(move |_| {
            seen();
            Ok(piece.clone())
        })
        .boxed()
}

/// Bytes of a piece of [`pieces`].
pub(super) const PIECE: u64 = 64 << 10;

/// What is said from one task to another, once.
#[derive(Clone, Debug)]
pub(super) struct Signal(Arc<tokio::sync::Semaphore>);

impl Signal {
    pub(super) fn new() -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(0)))
    }

    pub(super) fn give(&self) {
        self.0.add_permits(1);
    }

    pub(super) async fn wait(&self) {
        // It is never closed.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

/// Gives its signal when it is dropped.
#[derive(Debug)]
pub(super) struct OnDrop(pub(super) Signal);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.give();
    }
}

/// What the far end has seen.
#[derive(Clone, Debug)]
pub(super) struct Seen<T>(Arc<Mutex<Vec<T>>>);

impl<T> Seen<T> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn put(&self, value: T) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(value);
    }

    pub(super) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
