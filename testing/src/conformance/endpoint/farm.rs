//! A farm with a client and agents that are played by the cases.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use grange_derivation::{Builder, Hash, Instantiated, StoreDir, nar};
use grange_interfaces::message::{
    Answer, Assignment, BuildRequest, BuildView, Capacity, ExchangeAnswer, ExchangeRequest,
    FactView, Message, Report, ReportedOutput, Submission,
};
use grange_interfaces::{Body, Endpoint, Peer, Refusal, Secret, frame};
use grange_model::{AgentId, AttemptId, BuildId, FactNumber, SessionId, Tags};
use uuid::Uuid;

use crate::conformance::{EndpointBench, Served};

const SYSTEM: &str = "x86_64-linux";

/// What was answered, the first time and the second.
pub(super) type Twice = [Answer; 2];

pub(super) struct Farm {
    served: Served,
}

impl Farm {
    pub(super) async fn start(bench: &impl EndpointBench) -> Self {
        let served = bench.start().await;
        Self { served }
    }

    pub(super) fn endpoint(&self) -> &Arc<dyn Endpoint> {
        &self.served.endpoint
    }

    /// Asks as the operator.
    pub(super) async fn ask(&self, message: Message) -> Answer {
        let asked = self.try_ask(&Peer::Local, message, None).await;
        asked.expect("it is answered")
    }

    pub(super) async fn try_ask(
        &self,
        peer: &Peer,
        message: Message,
        body: Option<&[u8]>,
    ) -> Result<Answer, Refusal> {
        let body = body.map(body_of);
        let call = self.served.endpoint.call(peer, message, body).await;
        call.map(|(answer, _)| answer)
    }

    /// Says it, takes the answer for lost, and says it again.
    pub(super) async fn twice(&self, peer: &Peer, message: Message, body: Option<&[u8]>) -> Twice {
        let first = self.try_ask(peer, message.clone(), body).await;
        let first = first.expect("it is answered");
        let second = self.try_ask(peer, message, body).await;
        [first, second.expect("it is answered again")]
    }

    /// Sends a derivation.
    pub(super) async fn put(&self, made: &Instantiated) {
        let put = Message::PutDerivations;
        let put = self.try_ask(&Peer::Local, put, Some(&framed(made))).await;
        assert_eq!(put, Ok(Answer::Done));
    }

    /// Sends a derivation, and asks for a build of it.
    pub(super) async fn submit(&self, made: &Instantiated) -> BuildId {
        self.put(made).await;
        let request = request(made);
        let id = request.id;
        let builds = vec![request];
        accepted(&self.ask(Message::Submit { builds }).await);
        id
    }

    pub(super) async fn facts(&self) -> Vec<FactView> {
        let facts = Message::Facts {
            after: Some(FactNumber(0)),
            wait_ms: 0,
            limit: 1_000,
        };
        match self.ask(facts).await {
            Answer::Facts { facts, .. } => facts,
            other => panic!("{other:?}"),
        }
    }

    /// How many facts say that this happened.
    pub(super) async fn count(&self, what: &str) -> usize {
        let facts = self.facts().await;
        facts.iter().filter(|fact| fact.what == what).count()
    }

    pub(super) async fn build(&self, build: BuildId) -> BuildView {
        match self.ask(Message::Build { build }).await {
            Answer::Build(view) => *view,
            other => panic!("{other:?}"),
        }
    }

    /// A new agent.
    pub(super) async fn agent(&self) -> Agent {
        let agent = AgentId(Uuid::now_v7());
        let name = "builder".to_owned();
        let made = self.ask(Message::NewAgent { agent, name }).await;
        assert_eq!(made, Answer::Done);
        let password = match self.ask(Message::NewPassword { agent }).await {
            Answer::Password(password) => Secret(password),
            other => panic!("{other:?}"),
        };
        Agent {
            peer: Peer::Agent {
                id: agent,
                password,
            },
            session: SessionId(Uuid::now_v7()),
        }
    }

    /// Has an agent, and gives it what there is to build.
    pub(super) async fn assigned(&self) -> (Agent, Assignment) {
        let agent = self.agent().await;
        let exchange = agent.exchange(1);
        let answer = self.try_ask(&agent.peer, exchange, None).await;
        let mut assign = exchanged(&answer.expect("it is answered")).assign;
        assert_eq!(assign.len(), 1, "one build is ready");
        (agent, assign.remove(0))
    }

    /// Builds it.
    pub(super) async fn succeed(&self, agent: &Agent, attempt: AttemptId, made: &Made) {
        let append = made.append(attempt);
        let sent = self.try_ask(&agent.peer, append, Some(&made.file)).await;
        assert_eq!(sent, Ok(Answer::Offset(made.said.file_size)));
        let report = made.report(attempt);
        let reported = self.try_ask(&agent.peer, report, None).await;
        assert_eq!(reported, Ok(Answer::Reported(vec![None])));
    }
}

/// An agent.
pub(super) struct Agent {
    pub(super) peer: Peer,
    session: SessionId,
}

impl Agent {
    /// It holds nothing, and asks for something to do.
    pub(super) fn exchange(&self, revision: u64) -> Message {
        Message::Exchange(ExchangeRequest {
            session: self.session,
            revision,
            capacity: Capacity {
                systems: vec![SYSTEM.to_owned()],
                tags: Tags::new(),
                exclusive: Vec::new(),
                parallel: 1,
                ahead: 0,
                resources: grange_model::Resources::new(),
                admission: grange_interfaces::message::Admission::default(),
                speed: 0,
            },
            load: 0,
            health: grange_interfaces::message::Health::default(),
            attempts: Vec::new(),
            wait_ms: 0,
        })
    }
}

/// An output as an agent has it.
pub(super) struct Made {
    pub(super) file: Vec<u8>,
    pub(super) said: ReportedOutput,
}

impl Made {
    /// A file.
    pub(super) fn file(contents: &[u8]) -> Self {
        let nar = nar::of_file(contents);
        let file = stored(&nar);
        let said = ReportedOutput {
            name: "out".to_owned(),
            file_hash: Hash::sha256(&file).to_base16(),
            file_size: file.len() as u64,
            nar_hash: Hash::sha256(&nar).to_base16(),
            nar_size: nar.len() as u64,
            references: Vec::new(),
        };
        Self { file, said }
    }

    /// Sends it from its beginning on.
    pub(super) fn append(&self, attempt: AttemptId) -> Message {
        Message::AppendUpload {
            attempt,
            output: self.said.name.clone(),
            file_hash: self.said.file_hash.clone(),
            offset: 0,
        }
    }

    /// Says that it was made.
    pub(super) fn report(&self, attempt: AttemptId) -> Message {
        let report = Report::Succeeded {
            outputs: vec![self.said.clone()],
            log_size: 0,
            usage: grange_model::Usage::default(),
        };
        Message::Report {
            reports: vec![(attempt, report)],
        }
    }
}

/// A frame of Zstandard that holds a few bytes as they are, in one raw block (RFC 8878, section 3.1.1).
fn stored(bytes: &[u8]) -> Vec<u8> {
    let size = u32::try_from(bytes.len()).expect("a few bytes");
    assert!(size < 1 << 17, "a block has at most 128 KiB");
    // The magic number; a single segment, whose size has four bytes.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend(size.to_le_bytes());
    // The last block, raw.
    frame.extend(&(size << 3 | 1).to_le_bytes()[..3]);
    frame.extend(bytes);
    frame
}

/// In pieces.
pub(super) fn body_of(bytes: &[u8]) -> Body {
    let pieces: Vec<_> = bytes.chunks(100).map(Bytes::copy_from_slice).collect();
    stream::iter(pieces.into_iter().map(Ok)).boxed()
}

/// What the body of [`Message::PutDerivations`] says of it.
pub(super) fn framed(made: &Instantiated) -> Bytes {
    let path = made.path.to_string();
    frame(&path, &made.text).expect("it is small")
}

/// A derivation that needs nothing.
pub(super) fn derivation(name: &str) -> Instantiated {
    let author = Builder::new(&StoreDir::guix(), name, SYSTEM, "/bin/sh");
    author.instantiate().expect("the name is one")
}

/// Asks for a build of it.
pub(super) fn request(made: &Instantiated) -> BuildRequest {
    BuildRequest {
        id: BuildId(Uuid::now_v7()),
        derivation: made.path.to_string(),
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

/// All of it was accepted.
pub(super) fn accepted(answer: &Answer) {
    let Answer::Submitted(results) = answer else {
        panic!("{answer:?}");
    };
    let refused = |it: &&Submission| !matches!(it, Submission::Accepted { .. });
    assert_eq!(results.iter().find(refused), None);
}

pub(super) fn exchanged(answer: &Answer) -> ExchangeAnswer {
    match answer {
        Answer::Exchange(answer) => answer.clone(),
        other => panic!("{other:?}"),
    }
}
