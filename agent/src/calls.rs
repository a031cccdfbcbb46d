//! What an agent says to its coordinator, with the answers that belong to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use grange_derivation::StorePath;
use grange_fail_points::{Point, reach};
use grange_interfaces::message::{
    Answer, ExchangeAnswer, ExchangeRequest, ItemView, JobAnswer, Message, Report, VERSIONS,
};
use grange_interfaces::{Body, Clock, Endpoint, Fault, FrameError, Frames, Peer, Refusal};
use grange_model::AttemptId;

use crate::pause::pause;

/// The coordinator, as one agent may call it.
#[derive(Debug)]
pub(crate) struct Coordinator {
    endpoint: Arc<dyn Endpoint>,
    peer: Peer,
    clock: Arc<dyn Clock>,
}

/// How long what is said in a few bytes may take. A connection that is half open would otherwise be
/// waited for as long as its transport likes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes of a derivation's text at most: no coordinator that keeps to its default takes a larger one.
const MAX_TEXT: usize = 16 << 20;

impl Coordinator {
    pub(crate) fn new(endpoint: Arc<dyn Endpoint>, peer: Peer, clock: Arc<dyn Clock>) -> Self {
        Self {
            endpoint,
            peer,
            clock,
        }
    }

    async fn call(
        &self,
        message: Message,
        body: Option<Body>,
    ) -> Result<(Answer, Option<Body>), Refusal> {
        // The core gives up exchanges, which wait on purpose; outputs take as long as they take.
        let slow = matches!(
            message,
            Message::Exchange(_) | Message::AppendUpload { .. } | Message::FetchItem { .. }
        );
        let call = self.endpoint.call(&self.peer, message, body);
        if slow {
            return call.await;
        }
        tokio::select! {
            biased;
            answer = call => answer,
            () = pause(&*self.clock, PATIENCE) => {
                Err(Refusal::busy("the coordinator does not answer", Duration::ZERO))
            }
        }
    }

    /// The store directories that the coordinator serves.
    pub(crate) async fn hello(&self) -> Result<Vec<String>, Refusal> {
        let software = concat!("grange-agent ", env!("CARGO_PKG_VERSION")).to_owned();
        match self
            .call(
                Message::Hello {
                    versions: VERSIONS,
                    software,
                },
                None,
            )
            .await?
            .0
        {
            Answer::Hello {
                version,
                store_dirs,
                ..
            } => {
                if (VERSIONS.0..=VERSIONS.1).contains(&version) {
                    return Ok(store_dirs);
                }
                let (from, to) = VERSIONS;
                Err(Refusal::new(
                    Fault::Operator,
                    format!(
                        "the coordinator chose version {version} of the protocol, and this agent speaks {from} to {to}"
                    ),
                ))
            }
            _ => Err(unexpected("hello")),
        }
    }

    pub(crate) async fn exchange(
        &self,
        request: ExchangeRequest,
    ) -> Result<ExchangeAnswer, Refusal> {
        reach(Point::ExchangeSending);
        let answered = self.call(Message::Exchange(request), None).await?.0;
        reach(Point::ExchangeAnswered);
        match answered {
            Answer::Exchange(answer) => Ok(answer),
            _ => Err(unexpected("an exchange")),
        }
    }

    pub(crate) async fn job(&self, attempt: AttemptId) -> Result<JobAnswer, Refusal> {
        match self.call(Message::Job { attempt }, None).await?.0 {
            Answer::Job(job) => Ok(*job),
            _ => Err(unexpected("the question for a job")),
        }
    }

    pub(crate) async fn log_offset(&self, attempt: AttemptId) -> Result<u64, Refusal> {
        self.offset(Message::LogOffset { attempt }, None).await
    }

    pub(crate) async fn append_log(
        &self,
        attempt: AttemptId,
        offset: u64,
        body: Body,
    ) -> Result<u64, Refusal> {
        self.offset(Message::AppendLog { attempt, offset }, Some(body))
            .await
    }

    pub(crate) async fn upload_offset(
        &self,
        attempt: AttemptId,
        output: &str,
        file_hash: &str,
    ) -> Result<u64, Refusal> {
        let (output, file_hash) = (output.to_owned(), file_hash.to_owned());
        self.offset(
            Message::UploadOffset {
                attempt,
                output,
                file_hash,
            },
            None,
        )
        .await
    }

    pub(crate) async fn append_upload(
        &self,
        attempt: AttemptId,
        output: &str,
        file_hash: &str,
        offset: u64,
        body: Body,
    ) -> Result<u64, Refusal> {
        let (output, file_hash) = (output.to_owned(), file_hash.to_owned());
        let message = Message::AppendUpload {
            attempt,
            output,
            file_hash,
            offset,
        };
        self.offset(message, Some(body)).await
    }

    async fn offset(&self, message: Message, body: Option<Body>) -> Result<u64, Refusal> {
        match self.call(message, body).await?.0 {
            Answer::Offset(offset) => Ok(offset),
            _ => Err(unexpected("bytes of a log or an output")),
        }
    }

    /// None if the report was taken.
    pub(crate) async fn report(
        &self,
        attempt: AttemptId,
        report: Report,
    ) -> Result<Option<Refusal>, Refusal> {
        match self
            .call(
                Message::Report {
                    reports: vec![(attempt, report)],
                },
                None,
            )
            .await?
            .0
        {
            Answer::Reported(mut refusals) if refusals.len() == 1 => Ok(refusals.remove(0)),
            _ => Err(unexpected("a report")),
        }
    }

    /// The texts of derivations, in the order of their paths.
    pub(crate) async fn derivations(&self, paths: &[StorePath]) -> Result<Vec<Bytes>, Refusal> {
        let asked = paths.iter().map(ToString::to_string).collect();
        let message = Message::Derivations { paths: asked };
        let (Answer::Derivations, Some(body)) = self.call(message, None).await? else {
            return Err(unexpected("the question for derivations"));
        };
        let mut frames = Frames::new(body, MAX_TEXT);
        let mut texts = Vec::with_capacity(paths.len());
        for path in paths {
            let next = frames.next().await.and_then(|it| it.ok_or(FrameError::Cut));
            let (name, text) = next.map_err(|error| broke(&error))?;
            if name != path.to_string().as_bytes() {
                return Err(unexpected("the question for derivations"));
            }
            texts.push(text);
        }
        Ok(texts)
    }

    /// What the coordinator has of these items and of all that they refer to, references first.
    pub(crate) async fn items(&self, paths: &[StorePath]) -> Result<Vec<ItemView>, Refusal> {
        let paths = paths.iter().map(ToString::to_string).collect();
        let message = Message::Items {
            paths,
            closure: true,
        };
        match self.call(message, None).await?.0 {
            Answer::Items(items) => Ok(items.into_iter().flatten().collect()),
            _ => Err(unexpected("the question for items")),
        }
    }

    pub(crate) async fn fetch_item(
        &self,
        path: &str,
        offset: u64,
    ) -> Result<(ItemView, Body), Refusal> {
        let path = path.to_owned();
        match self.call(Message::FetchItem { path, offset }, None).await? {
            (Answer::Item(view), Some(body)) => Ok((view, body)),
            _ => Err(unexpected("the question for an item")),
        }
    }
}

/// What is cut comes whole another time; what is too large does not become smaller.
fn broke(error: &FrameError) -> Refusal {
    match error {
        FrameError::Body(error) => Refusal::busy(error.to_string(), Duration::ZERO),
        FrameError::Cut => Refusal::busy(error.to_string(), Duration::ZERO),
        other => Refusal::new(Fault::Peer, other.to_string()),
    }
}

/// The coordinator speaks another language: perhaps it, or a proxy, is being replaced.
fn unexpected(question: &str) -> Refusal {
    let message = format!("the coordinator's answer to {question} is of another kind");
    Refusal::new(Fault::Peer, message)
}

/// Whether the attempt that a request was about is not wanted any more.
pub(crate) fn is_void(refusal: &Refusal) -> bool {
    matches!(refusal.fault, Fault::Conflict | Fault::NotFound)
}

/// When the other side wants to be asked again.
pub(crate) fn retry_after(refusal: &Refusal) -> Option<Duration> {
    refusal.retry_after_ms.map(Duration::from_millis)
}
