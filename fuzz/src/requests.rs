//! A coordinator, and what anybody may say to it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use grange_coordinator::client::{Client, MemorySource};
use grange_coordinator::{Coordinator, CoordinatorConfig, MissingInputs, Parts, Upstreams};
use grange_derivation::{Builder as Author, StoreDir};
use grange_interfaces::message::{Answer, BuildRequest, Message};
use grange_interfaces::{Body, Claim, Clock, Endpoint, Peer, Secret};
use grange_model::{AgentId, BuildId, Tags, Timestamp};
use grange_testing::{MemoryArtifacts, MemoryDatastore};
use grange_transport_http::{decode_message, message_has_body};
use tokio::runtime::Builder;
use tokio::time::Instant;
use uuid::Uuid;

use crate::watch::unharmed;

/// How many things are said at most.
const CALLS: usize = 16;

/// Virtual time that a call may take: more than anybody may ask it to wait.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// A script: who speaks (a byte), a message (a line of JSON), and, if it has a body, its length (two bytes, big-endian) and
/// the body; and so on. All of it is said to a coordinator that has an agent and a build, one after the other.
///
/// However that is, nothing panics, each call is answered, a refusal says why, and the coordinator goes on.
pub(crate) fn requests(bytes: &[u8]) {
    unharmed(|| {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        let runtime = runtime.expect("a runtime can be made");
        runtime.block_on(async {
            let farm = Farm::start().await;
            let mut rest = bytes;
            for _ in 0..CALLS {
                let Some(said) = Said::read(&mut rest) else {
                    break;
                };
                farm.call(said).await;
            }
            farm.end().await;
        });
    });
}

struct Said {
    who: u8,
    message: Message,
    body: Option<Bytes>,
}

impl Said {
    /// Takes the next thing to say off the front.
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (who, rest) = bytes.split_first()?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let (line, mut rest) = (&rest[..end], &rest[end + 1..]);
        let message = decode_message(line).ok()?;
        let body = if message_has_body(&message) {
            let (length, behind) = rest.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length)).min(behind.len());
            let (body, behind) = behind.split_at(length);
            rest = behind;
            Some(Bytes::copy_from_slice(body))
        } else {
            None
        };
        *bytes = rest;
        Some(Self {
            who: *who,
            message,
            body,
        })
    }
}

struct Farm {
    coordinator: Coordinator,
    endpoint: Arc<dyn Endpoint>,
    agent: Peer,
}

impl Farm {
    /// With an agent and a build of known names.
    async fn start() -> Self {
        let parts = Parts {
            datastore: Arc::new(MemoryDatastore::new()),
            artifacts: Arc::new(MemoryArtifacts::new()),
            clock: Arc::new(VirtualClock(Instant::now())),
            upstreams: Upstreams::default(),
            hooks: vec![Arc::new(MissingInputs::default())],
            seed: 1,
            claim: Claim::Exclusive,
        };
        let coordinator = Coordinator::start(CoordinatorConfig::default(), parts).await;
        let coordinator = coordinator.expect("its stores are empty");
        let endpoint = coordinator.endpoint();
        let client = Client::new(Arc::clone(&endpoint), Peer::Local).with_patience(Duration::ZERO);
        let id = AgentId(Uuid::from_u128(1));
        client.new_agent(id, "fuzz").await.expect("it is new");
        let password = client.new_password(id).await.expect("it is there");
        let drv = Author::new(&StoreDir::guix(), "x", "x86_64-linux", "/bin/sh").instantiate();
        let drv = drv.expect("it is a derivation");
        let mut source = MemorySource::new();
        source.add(&drv);
        let build = BuildRequest {
            id: BuildId(Uuid::from_u128(2)),
            derivation: drv.path.to_string(),
            priority: 0,
            tags: Tags::new(),
            requires: Tags::new(),
            timeout_ms: None,
            max_silent_ms: None,
            again: false,
            no_inputs: false,
            resources: grange_model::Resources::new(),
        };
        let submitted = client.submit(vec![build], Arc::new(source), &|_| {}).await;
        submitted.expect("it has all that the build needs");
        Self {
            coordinator,
            endpoint,
            agent: Peer::Agent { id, password },
        }
    }

    async fn call(&self, said: Said) {
        let peer = match said.who {
            b'a' => self.agent.clone(),
            b't' => Peer::Token(Secret("no token of theirs".to_owned())),
            b'?' => Peer::Anonymous,
            _ => Peer::Local,
        };
        let body = said
            .body
            .map(|bytes| -> Body { stream::iter([Ok(bytes)]).boxed() });
        let call = self.endpoint.call(&peer, said.message, body);
        let answered = tokio::time::timeout(PATIENCE, call).await;
        match answered.expect("each call is answered") {
            Ok((_, Some(body))) => {
                // What it follows may go on for ever.
                let drained = body.for_each(|_| std::future::ready(()));
                let _ = tokio::time::timeout(PATIENCE, drained).await;
            }
            Ok((_, None)) => {}
            Err(refusal) => assert!(!refusal.message.is_empty(), "a refusal says why"),
        }
    }

    /// It is still there, and ends when it is told to.
    async fn end(mut self) {
        let counts = self
            .endpoint
            .call(&Peer::Local, Message::Counts, None)
            .await;
        let counts = counts.map(|(answer, _)| answer);
        assert!(matches!(counts, Ok(Answer::Counts(_))), "{counts:?}");
        let ended = self.coordinator.ended().now_or_never();
        assert!(ended.is_none(), "it ended by itself: {ended:?}");
        self.coordinator.stop().await;
    }
}

/// Time that passes when all wait.
#[derive(Debug)]
struct VirtualClock(Instant);

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000).after(self.0.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
