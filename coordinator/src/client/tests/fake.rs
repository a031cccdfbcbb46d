//! A coordinator that is a closure.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_interfaces::message::{Answer, BuildSummary, BuildView, Message};
use grange_interfaces::{Body, Endpoint, Peer, Refusal, bytes_of};
use grange_model::{BuildId, BuildState};

use crate::client::Client;

pub(super) type Reply = Result<(Answer, Option<Body>), Refusal>;
type Handler = Box<dyn FnMut(Message, Bytes) -> Reply + Send>;

struct Fake(Mutex<Handler>);

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

#[async_trait]
impl Endpoint for Fake {
    async fn call(&self, _: &Peer, message: Message, body: Option<Body>) -> Reply {
        let body = match body {
            Some(body) => bytes_of(body, 1 << 30)
                .await
                .map_err(|_| Refusal::busy("the connection broke", Duration::from_millis(1)))?,
            None => Bytes::new(),
        };
        (self.0.lock().unwrap())(message, body)
    }
}

/// A client of a coordinator that answers so.
pub(super) fn client(handler: impl FnMut(Message, Bytes) -> Reply + Send + 'static) -> Client {
    Client::new(Arc::new(Fake(Mutex::new(Box::new(handler)))), Peer::Local)
}

pub(super) fn busy() -> Reply {
    Err(Refusal::busy(
        "too much is pending",
        Duration::from_millis(1),
    ))
}

/// A body of these pieces; an empty one stands for a broken connection.
pub(super) fn pieces(pieces: &[&[u8]]) -> Body {
    let pieces: Vec<std::io::Result<Bytes>> = pieces
        .iter()
        .map(|piece| match piece {
            [] => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            piece => Ok(Bytes::copy_from_slice(piece)),
        })
        .collect();
    stream::iter(pieces).boxed()
}

pub(super) fn id(number: u128) -> BuildId {
    BuildId(uuid::Uuid::from_u128(number))
}

pub(super) fn view(build: BuildId, state: BuildState) -> BuildView {
    BuildView {
        summary: BuildSummary {
            id: build,
            derivation: "/gnu/store/00000000000000000000000000000000-x.drv".into(),
            state,
            system: "x86_64-linux".into(),
            priority: 0,
            tags: Default::default(),
            implicit: false,
            submitted_at_ms: 0,
            ended_at_ms: None,
        },
        derived_priority: 0,
        requires: Default::default(),
        resources: Default::default(),
        predicted: None,
        timeout_ms: 1,
        max_silent_ms: 1,
        reasons: vec![],
        remedies: vec![],
        roots: vec![],
        waits_for: vec![],
        attempts: vec![],
        setup_failures: vec![],
        causes: vec![],
        outputs: vec![],
    }
}
