//! Sending derivations and sources.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use grange_derivation::StorePath;
use grange_interfaces::message::{Answer, ItemUpload, Message};
use grange_interfaces::{Body, frame};

use super::batch::batches;
use super::lacking::Lacking;
use super::{Client, ClientError, ClosureSource, Progress, Sent, SourceError, SourceInfo};

/// The most items or derivations in one message.
const COUNT: usize = 1_000;
/// The most bytes of texts in one message; they are held in memory.
const TEXT_BYTES: u64 = 8 << 20;
/// The most bytes of nars in one message, unless one alone has more; they are streamed.
const NAR_BYTES: u64 = 64 << 20;

type Report<'a> = &'a (dyn Fn(&Progress) + Send + Sync);

/// Counts what is sent.
#[derive(Debug)]
pub(super) struct Counter {
    derivations: u64,
    sources: u64,
    sent_derivations: AtomicU64,
    sent_sources: AtomicU64,
    bytes: Arc<AtomicU64>,
}

impl Counter {
    pub(super) fn new(lacking: &Lacking) -> Self {
        Self {
            derivations: lacking.derivations.len() as u64,
            sources: lacking.sources.len() as u64,
            sent_derivations: AtomicU64::new(0),
            sent_sources: AtomicU64::new(0),
            bytes: Arc::default(),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            sent: Sent {
                derivations: self.sent_derivations.load(Ordering::Relaxed),
                sources: self.sent_sources.load(Ordering::Relaxed),
                bytes: self.bytes.load(Ordering::Relaxed),
            },
            derivations: self.derivations,
            sources: self.sources,
        }
    }

    /// The same body, counted as it is taken.
    fn counted(&self, body: Body) -> Body {
        let bytes = Arc::clone(&self.bytes);
        body.inspect_ok(move |chunk| {
            bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        })
        .boxed()
    }
}

impl Client {
    pub(super) async fn put_derivations(
        &self,
        derivations: &[(StorePath, u64)],
        source: &dyn ClosureSource,
        counter: &Counter,
        report: Report<'_>,
    ) -> Result<(), ClientError> {
        for batch in batches(derivations, COUNT, TEXT_BYTES, |(_, size)| *size) {
            let mut frames = Vec::with_capacity(batch.len());
            for (path, _) in batch {
                let text = source.derivation_text(path).await?;
                let framed = frame(&path.to_string(), &text);
                frames.push(framed.map_err(|source| SourceError::Io {
                    path: path.clone(),
                    source,
                })?);
            }
            let body = || counter.counted(stream::iter(frames.clone()).map(Ok).boxed());
            self.put(
                "PutDerivations",
                &Message::PutDerivations,
                body,
                &Trouble::default(),
            )
            .await?;
            counter
                .sent_derivations
                .fetch_add(batch.len() as u64, Ordering::Relaxed);
            report(&counter.progress());
        }
        Ok(())
    }

    pub(super) async fn put_sources(
        &self,
        sources: &[(StorePath, SourceInfo)],
        source: &Arc<dyn ClosureSource>,
        counter: &Counter,
        report: Report<'_>,
    ) -> Result<(), ClientError> {
        for batch in batches(sources, COUNT, NAR_BYTES, |(_, info)| info.nar_size) {
            let items = batch.iter().map(|(path, info)| ItemUpload {
                path: path.to_string(),
                nar_size: info.nar_size,
                references: info.references.iter().map(ToString::to_string).collect(),
            });
            let message = Message::PutItems {
                items: items.collect(),
            };
            let paths: Vec<StorePath> = batch.iter().map(|(path, _)| path.clone()).collect();
            let trouble = Trouble::default();
            let body = || counter.counted(nars(paths.clone(), Arc::clone(source), trouble.clone()));
            self.put("PutItems", &message, body, &trouble).await?;
            counter
                .sent_sources
                .fetch_add(batch.len() as u64, Ordering::Relaxed);
            report(&counter.progress());
        }
        Ok(())
    }

    /// Says something with a body, anew while that may help.
    async fn put(
        &self,
        question: &'static str,
        message: &Message,
        body: impl Fn() -> Body,
        trouble: &Trouble,
    ) -> Result<(), ClientError> {
        let mut patience = self.patience();
        loop {
            let answer = self
                .endpoint
                .call(&self.peer, message.clone(), Some(body()))
                .await;
            // Where our own body failed, the other side can only say that the connection broke.
            if let Some(error) = trouble.take() {
                return Err(error.into());
            }
            match answer {
                Ok((Answer::Done, _)) => return Ok(()),
                Ok(_) => return Err(ClientError::Answer { question }),
                Err(refusal) => patience.pause(refusal).await?,
            }
        }
    }
}

/// Why a body that is being sent could not be read.
#[derive(Clone, Debug, Default)]
struct Trouble(Arc<Mutex<Option<SourceError>>>);

impl Trouble {
    fn put(&self, error: SourceError) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }

    fn take(&self) -> Option<SourceError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The nars of these items, one after the other, each opened when the one before it has ended.
fn nars(paths: Vec<StorePath>, source: Arc<dyn ClosureSource>, trouble: Trouble) -> Body {
    let opened = stream::iter(paths).then(move |path| {
        let (source, trouble) = (Arc::clone(&source), trouble.clone());
        async move {
            match source.nar(&path).await {
                Ok(nar) => Ok(nar.inspect_err(move |error| {
                    let source = std::io::Error::new(error.kind(), error.to_string());
                    trouble.put(SourceError::Io {
                        path: path.clone(),
                        source,
                    });
                })),
                Err(error) => {
                    let cut = std::io::Error::other(error.to_string());
                    trouble.put(error);
                    Err(cut)
                }
            }
        }
    });
    opened.try_flatten().boxed()
}
