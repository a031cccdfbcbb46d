//! A coordinator to talk to, and what it lies on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_coordinator::client::{Client, MemorySource};
use grange_coordinator::{
    Coordinator, CoordinatorConfig, MissingInputs, Parts, SystemClock, Upstreams,
};
use grange_derivation::{Builder, Instantiated, StoreDir};
use grange_interfaces::message::{Answer, BuildRequest, BuildView, Message, Submission};
use grange_interfaces::{
    ArtifactStore, Body, Claim, Clock, Datastore, Endpoint, Hook, Peer, Refusal,
};
use grange_model::{AgentId, BuildId, BuildState, Tags};
use grange_testing::{MemoryArtifacts, MemoryDatastore};

use crate::agent::Agent;
use crate::door::Door;

pub(crate) const SYSTEM: &str = "x86_64-linux";

/// A coordinator that runs.
pub(crate) struct Farm {
    pub(crate) coordinator: Coordinator,
    pub(crate) endpoint: Arc<dyn Endpoint>,
    /// What agents call: it stays when the coordinator ends.
    pub(crate) door: Arc<Door>,
    pub(crate) client: Client,
}

/// What a coordinator is started with.
pub(crate) struct Setup {
    pub(crate) config: CoordinatorConfig,
    pub(crate) datastore: Arc<dyn Datastore>,
    pub(crate) artifacts: Arc<dyn ArtifactStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) upstreams: Upstreams,
    pub(crate) hooks: Vec<Arc<dyn Hook>>,
    pub(crate) claim: Claim,
    pub(crate) door: Arc<Door>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            config: CoordinatorConfig::default(),
            datastore: Arc::new(MemoryDatastore::new()),
            artifacts: Arc::new(MemoryArtifacts::new()),
            clock: Arc::new(SystemClock),
            upstreams: Upstreams::default(),
            hooks: vec![Arc::new(MissingInputs::default())],
            claim: Claim::Exclusive,
            door: Arc::default(),
        }
    }
}

impl Setup {
    /// For those who called an earlier one.
    pub(crate) fn behind(self, door: Arc<Door>) -> Self {
        Self { door, ..self }
    }

    pub(crate) async fn start(self) -> Farm {
        let parts = Parts {
            datastore: self.datastore,
            artifacts: self.artifacts,
            clock: self.clock,
            upstreams: self.upstreams,
            hooks: self.hooks,
            seed: 1,
            claim: self.claim,
        };
        let coordinator = Coordinator::start(self.config, parts).await.unwrap();
        let endpoint = coordinator.endpoint();
        let client = Client::new(Arc::clone(&endpoint), Peer::Local);
        self.door.set(Some(Arc::clone(&endpoint)));
        Farm {
            client: client.with_patience(Duration::ZERO),
            door: self.door,
            coordinator,
            endpoint,
        }
    }
}

impl Farm {
    /// One in memory.
    pub(crate) async fn new() -> Self {
        Setup::default().start().await
    }

    /// Says something as the operator.
    pub(crate) async fn call(
        &self,
        message: Message,
        body: Option<Body>,
    ) -> Result<(Answer, Option<Body>), Refusal> {
        self.endpoint.call(&Peer::Local, message, body).await
    }

    /// Makes an agent with a password.
    pub(crate) async fn agent(&self) -> Agent {
        let id = AgentId(uuid::Uuid::now_v7());
        self.client.new_agent(id, "test").await.unwrap();
        let password = self.client.new_password(id).await.unwrap();
        Agent::new(Arc::clone(&self.door) as _, id, password)
    }

    /// Ends it without any ado, as a kill does.
    pub(crate) async fn kill(self) -> Arc<Door> {
        let Self {
            coordinator,
            endpoint,
            door,
            client,
        } = self;
        door.set(None);
        let left = Arc::downgrade(&endpoint);
        drop((coordinator, endpoint, client));
        // The files are let go with the last who holds them.
        until(|| async { left.strong_count() == 0 }).await;
        door
    }

    /// Sends derivations, and asks for builds of all of them.
    pub(crate) async fn submit(&self, derivations: &[&Instantiated]) -> Vec<BuildId> {
        let mut source = MemorySource::new();
        for derivation in derivations {
            source.add(derivation);
        }
        let requests: Vec<_> = derivations.iter().map(|made| request(made)).collect();
        let ids = requests.iter().map(|request| request.id).collect();
        self.submit_as(requests, source).await;
        ids
    }

    pub(crate) async fn submit_as(
        &self,
        requests: Vec<BuildRequest>,
        source: MemorySource,
    ) -> Vec<(BuildState, Vec<String>)> {
        let submitted = self.client.submit(requests, Arc::new(source), &|_| {});
        let accepted = |submission| match submission {
            Submission::Accepted { state, warnings } => (state, warnings),
            other => panic!("{other:?}"),
        };
        let submissions = submitted.await.unwrap().submissions;
        submissions.into_iter().map(accepted).collect()
    }

    pub(crate) async fn put_derivations(&self, body: Vec<u8>) -> Result<(), Refusal> {
        let put = self.call(Message::PutDerivations, Some(body_of(body)));
        put.await
            .map(|(answer, _)| assert_eq!(answer, Answer::Done))
    }

    pub(crate) async fn view(&self, build: BuildId) -> BuildView {
        self.client.build(build).await.unwrap()
    }

    pub(crate) async fn state(&self, build: BuildId) -> BuildState {
        self.view(build).await.summary.state
    }

    pub(crate) async fn wait(&self, build: BuildId) -> BuildState {
        within(self.client.wait([build])).await.unwrap()[&build]
    }
}

/// A request for a build, with a new id.
pub(crate) fn request(derivation: &Instantiated) -> BuildRequest {
    BuildRequest {
        id: BuildId(uuid::Uuid::now_v7()),
        derivation: derivation.path.to_string(),
        priority: 0,
        tags: Tags::new(),
        requires: Tags::new(),
        timeout_ms: None,
        max_silent_ms: None,
        again: false,
        no_inputs: false,
        resources: grange_model::Resources::new(),
    }
}

pub(crate) fn again(derivation: &Instantiated) -> BuildRequest {
    BuildRequest {
        again: true,
        ..request(derivation)
    }
}

/// The beginnings of a derivation.
pub(crate) fn builder(name: &str) -> Builder {
    Builder::new(&StoreDir::guix(), name, SYSTEM, "/bin/sh")
}

/// A derivation that needs these.
pub(crate) fn derivation(name: &str, inputs: &[&Instantiated]) -> Instantiated {
    let with = |builder: Builder, input: &&Instantiated| builder.input(input, &["out"]);
    inputs
        .iter()
        .fold(builder(name), with)
        .instantiate()
        .unwrap()
}

pub(crate) fn body_of(bytes: impl Into<Bytes>) -> Body {
    let pieces: Vec<_> = bytes
        .into()
        .chunks(100_003)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    stream::iter(pieces).boxed()
}

/// These bytes, then a broken connection.
pub(crate) fn broken_body(bytes: impl Into<Bytes>) -> Body {
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    stream::iter([Ok(bytes.into()), Err(broken)]).boxed()
}

/// A body of derivations: path and text of each.
pub(crate) fn frames(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts
        .iter()
        .flat_map(|(path, text)| [path.as_bytes(), text])
    {
        all.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        all.extend(part);
    }
    all
}

/// What must come soon, or the test has failed.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work)
        .await
        .expect("it comes within 30 s")
}

/// Asks again and again until it is so.
pub(crate) async fn until<F: Future<Output = bool>>(mut so: impl FnMut() -> F) {
    within(async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
