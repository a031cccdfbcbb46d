//! Clients read logs, while they grow and afterwards.

use std::time::Duration;

use grange_interfaces::message::Answer;
use grange_interfaces::{ArtifactError, Body, Fault, Refusal, Source, empty_body};
use grange_model::{AttemptId, AttemptSummary, BuildId};

use super::dispatch::{Answered, CoordinatorEndpoint};
use super::facts::MAX_WAIT;
use crate::convert::artifact_refusal;
use crate::ingest;

/// How many bytes of a log one answer has.
const MAX_PIECE: u64 = 16 << 20;

/// Where a log lies.
struct Place {
    attempt: Option<AttemptId>,
    /// None if the attempt said nothing.
    source: Option<Source>,
    complete: bool,
}

impl Place {
    /// The log of an attempt that has ended. If nobody reported how, it stays the upload that it was.
    fn of(attempt: &AttemptSummary) -> Self {
        let unreported = || Source::Upload(ingest::log_upload(attempt.id));
        Self {
            attempt: Some(attempt.id),
            source: Some(attempt.log.map_or_else(unreported, Source::Blob)),
            complete: true,
        }
    }
}

impl CoordinatorEndpoint {
    pub(super) async fn log(
        &self,
        build: BuildId,
        attempt: Option<AttemptId>,
        offset: u64,
        wait_ms: u64,
    ) -> Answered {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(wait_ms).min(MAX_WAIT);
        let mut grown = self.shared.logs();
        let mut facts = self.shared.facts();
        loop {
            grown.mark_unchanged();
            facts.mark_unchanged();
            let place = self.place(build, attempt).await?;
            let size = match &place.source {
                Some(source) => match self.shared.artifacts.size(source).await {
                    Ok(size) => size,
                    // Nothing was said yet, or the log was sealed this very moment.
                    Err(ArtifactError::NotFound(_)) => 0,
                    Err(error) => return Err(artifact_refusal(error)),
                },
                None => 0,
            };
            let late = tokio::time::Instant::now() >= deadline;
            if size > offset || place.complete || late {
                match self.piece(place, offset, size).await? {
                    Some(piece) => return Ok(piece),
                    None => continue,
                }
            }
            tokio::select! {
                _ = grown.changed() => {}
                _ = facts.changed() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// None if the log was sealed since its size was asked for.
    async fn piece(
        &self,
        place: Place,
        offset: u64,
        size: u64,
    ) -> Result<Option<(Answer, Option<Body>)>, Refusal> {
        if offset > size && place.complete {
            return Err(Refusal::new(
                Fault::Caller,
                format!("the log has only {size} bytes"),
            ));
        }
        let end = size.min(offset.saturating_add(MAX_PIECE)).max(offset);
        let length = end - offset;
        let body = match place.source {
            Some(source) if length > 0 => {
                match self.shared.artifacts.read(&source, offset..end).await {
                    Ok(body) => body,
                    Err(ArtifactError::NotFound(_)) if !place.complete => return Ok(None),
                    Err(error) => return Err(artifact_refusal(error)),
                }
            }
            _ => empty_body(),
        };
        let complete = place.complete && end == size;
        Ok(Some((
            Answer::Log {
                attempt: place.attempt,
                offset,
                length,
                complete,
            },
            Some(body),
        )))
    }

    async fn place(&self, build: BuildId, wanted: Option<AttemptId>) -> Result<Place, Refusal> {
        let live = self.handle.observe(move |core| core.build(build)).await?;
        if let Some(live) = live {
            let running = live.attempts.iter().map(|attempt| attempt.record.id);
            let attempt = running
                .filter(|id| wanted.is_none_or(|wanted| *id == wanted))
                .max();
            if attempt.is_none()
                && let Some(wanted) = wanted
            {
                let past = live.past.iter().find(|past| past.id == wanted);
                return past.map(Place::of).ok_or_else(|| no_attempt(build));
            }
            let source = attempt.map(|attempt| Source::Upload(ingest::log_upload(attempt)));
            return Ok(Place {
                attempt,
                source,
                complete: false,
            });
        }
        let finished = self.finished(build).await?;
        let mut attempts = finished.attempts.iter().rev();
        let attempt = match wanted {
            Some(wanted) => {
                let attempt = attempts.find(|attempt| attempt.id == wanted);
                Some(attempt.ok_or_else(|| no_attempt(build))?)
            }
            None => attempts
                .clone()
                .find(|attempt| attempt.log.is_some())
                .or_else(|| attempts.next()),
        };
        let none = Place {
            attempt: None,
            source: None,
            complete: true,
        };
        Ok(attempt.map_or(none, Place::of))
    }
}

fn no_attempt(build: BuildId) -> Refusal {
    Refusal::new(
        Fault::NotFound,
        format!("build {build} has no such attempt"),
    )
}
