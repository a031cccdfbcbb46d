//! An agent that is played by the test.

use std::sync::Arc;

use grange_derivation::{Hash, StorePath, nar};
use grange_interfaces::message::{
    Answer, Assignment, Capacity, ExchangeAnswer, ExchangeRequest, HeldAttempt, JobAnswer, Message,
    Phase, Report, ReportedOutput,
};
use grange_interfaces::{Body, Endpoint, Peer, Refusal, Secret};
use grange_model::{AgentId, AttemptId, FailureKind, SessionId, Tags};

use crate::farm::{SYSTEM, body_of, within};

pub(crate) struct Agent {
    pub(crate) endpoint: Arc<dyn Endpoint>,
    pub(crate) id: AgentId,
    pub(crate) peer: Peer,
    pub(crate) capacity: Capacity,
    pub(crate) session: SessionId,
    revision: u64,
}

impl Agent {
    pub(crate) fn new(endpoint: Arc<dyn Endpoint>, id: AgentId, password: Secret) -> Self {
        Self {
            endpoint,
            id,
            peer: Peer::Agent { id, password },
            capacity: Capacity {
                systems: vec![SYSTEM.to_owned()],
                tags: Tags::new(),
                exclusive: Vec::new(),
                parallel: 8,
                ahead: 0,
                resources: grange_model::Resources::new(),
                admission: grange_interfaces::message::Admission::default(),
                speed: 0,
            },
            session: SessionId(uuid::Uuid::now_v7()),
            revision: 0,
        }
    }

    pub(crate) async fn call(
        &self,
        message: Message,
        body: Option<Body>,
    ) -> Result<Answer, Refusal> {
        let call = self.endpoint.call(&self.peer, message, body);
        within(call).await.map(|(answer, _)| answer)
    }

    pub(crate) async fn exchange(
        &mut self,
        held: &[AttemptId],
        wait_ms: u64,
    ) -> Result<ExchangeAnswer, Refusal> {
        self.revision += 1;
        let phase = Phase::Building;
        let held = held.iter().map(|&attempt| HeldAttempt { attempt, phase });
        let request = ExchangeRequest {
            session: self.session,
            revision: self.revision,
            capacity: self.capacity.clone(),
            load: 0,
            health: grange_interfaces::message::Health::default(),
            attempts: held.collect(),
            wait_ms,
        };
        match self.call(Message::Exchange(request), None).await? {
            Answer::Exchange(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    /// The next thing to build, for an agent that holds nothing.
    pub(crate) async fn take(&mut self) -> Assignment {
        self.take_beside(&[]).await
    }

    pub(crate) async fn take_beside(&mut self, held: &[AttemptId]) -> Assignment {
        within(async {
            loop {
                let answer = self.exchange(held, 10_000).await.unwrap();
                if let Some(first) = answer.assign.into_iter().next() {
                    return first;
                }
            }
        })
        .await
    }

    pub(crate) async fn job(&self, attempt: AttemptId) -> Result<JobAnswer, Refusal> {
        match self.call(Message::Job { attempt }, None).await? {
            Answer::Job(job) => Ok(*job),
            other => panic!("{other:?}"),
        }
    }

    async fn offset(&self, message: Message, body: Option<Body>) -> Result<u64, Refusal> {
        match self.call(message, body).await? {
            Answer::Offset(offset) => Ok(offset),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn log(
        &self,
        attempt: AttemptId,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, Refusal> {
        let body = body_of(bytes.to_vec());
        self.offset(Message::AppendLog { attempt, offset }, Some(body))
            .await
    }

    pub(crate) async fn log_offset(&self, attempt: AttemptId) -> Result<u64, Refusal> {
        self.offset(Message::LogOffset { attempt }, None).await
    }

    pub(crate) async fn append(
        &self,
        attempt: AttemptId,
        made: &Made,
        offset: u64,
        body: Body,
    ) -> Result<u64, Refusal> {
        let message = Message::AppendUpload {
            attempt,
            output: made.said.name.clone(),
            file_hash: made.said.file_hash.clone(),
            offset,
        };
        self.offset(message, Some(body)).await
    }

    pub(crate) async fn upload_offset(
        &self,
        attempt: AttemptId,
        made: &Made,
    ) -> Result<u64, Refusal> {
        let message = Message::UploadOffset {
            attempt,
            output: made.said.name.clone(),
            file_hash: made.said.file_hash.clone(),
        };
        self.offset(message, None).await
    }

    pub(crate) async fn upload(&self, attempt: AttemptId, made: &Made) {
        let body = body_of(made.file.clone());
        let size = self.append(attempt, made, 0, body).await.unwrap();
        assert_eq!(size, made.said.file_size);
    }

    pub(crate) async fn report(&self, attempt: AttemptId, report: Report) -> Result<(), Refusal> {
        let reports = vec![(attempt, report)];
        match self.call(Message::Report { reports }, None).await? {
            Answer::Reported(mut refusals) => refusals.remove(0).map_or(Ok(()), Err),
            other => panic!("{other:?}"),
        }
    }

    /// Sends everything, and says that it went well.
    pub(crate) async fn succeed(
        &self,
        attempt: AttemptId,
        log: &[u8],
        made: &[&Made],
    ) -> Result<(), Refusal> {
        for made in made {
            self.upload(attempt, made).await;
        }
        if !log.is_empty() {
            let here = self.log(attempt, 0, log).await.unwrap();
            assert_eq!(here, log.len() as u64);
        }
        self.report(attempt, succeeded(made, log.len())).await
    }

    pub(crate) async fn fail(&self, attempt: AttemptId, message: &str) -> Result<(), Refusal> {
        let report = Report::Failed {
            kind: FailureKind::Exit(1),
            message: message.to_owned(),
            log_size: 0,
            usage: grange_model::Usage::default(),
        };
        self.report(attempt, report).await
    }
}

pub(crate) fn succeeded(made: &[&Made], log_size: usize) -> Report {
    Report::Succeeded {
        outputs: made.iter().map(|made| made.said.clone()).collect(),
        log_size: log_size as u64,
        usage: grange_model::Usage::default(),
    }
}

/// An output as an agent has it.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) file: Vec<u8>,
    pub(crate) said: ReportedOutput,
}

/// An output that is a file with these bytes.
pub(crate) fn made(name: &str, content: &[u8], references: &[&StorePath]) -> Made {
    from_nar(name, &nar::of_file(content), references)
}

/// An output with this archive, whatever it is.
pub(crate) fn from_nar(name: &str, nar: &[u8], references: &[&StorePath]) -> Made {
    let file = zstd::encode_all(nar, 3).unwrap();
    let said = ReportedOutput {
        name: name.to_owned(),
        file_hash: sha256(&file),
        file_size: file.len() as u64,
        nar_hash: sha256(nar),
        nar_size: nar.len() as u64,
        references: references.iter().map(|path| path.to_string()).collect(),
    };
    Made { file, said }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let hash = Hash::sha256(bytes);
    hash.as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
