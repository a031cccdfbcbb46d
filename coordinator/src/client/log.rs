//! Reading a build's log.

use bytes::Bytes;
use futures::StreamExt;
use grange_interfaces::message::{Answer, AttemptView, Message};
use grange_interfaces::{Body, Fault, Refusal};
use grange_model::{AttemptId, BuildId, FactNumber};

use super::patience::Patience;
use super::{Client, ClientError};

/// How long the coordinator may wait for more, in milliseconds.
const WAIT_MS: u64 = 25_000;

/// A piece of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPiece {
    /// What follows was said by this attempt, from its beginning (or from the offset that was asked for).
    Attempt(AttemptId),
    /// What the build said, in no encoding and cut anywhere.
    Bytes(Bytes),
}

impl Client {
    /// The log of a build's newest attempt from `offset` on, in bytes.
    ///
    /// With `follow` it ends when the build has ended, and goes on with the next attempt where one is lost; else it
    /// ends with what there is now.
    #[must_use]
    pub fn log(&self, build: BuildId, offset: u64, follow: bool) -> LogReader {
        LogReader {
            client: self.clone(),
            build,
            attempt: None,
            offset,
            follow,
            announced: false,
            ended: false,
            body: None,
            patience: self.patience(),
        }
    }
}

/// A log as it comes. It knows how far it is, so that a broken connection or a new coordinator loses and doubles
/// nothing.
pub struct LogReader {
    client: Client,
    build: BuildId,
    attempt: Option<AttemptId>,
    offset: u64,
    follow: bool,
    announced: bool,
    ended: bool,
    body: Option<Open>,
    patience: Patience,
}

/// A body that is being read.
struct Open {
    body: Body,
    /// Bytes before what is wanted.
    skip: u64,
    /// Where it ends.
    end: u64,
    /// Whether the log ends there.
    complete: bool,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader")
            .field("build", &self.build)
            .field("attempt", &self.attempt)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl LogReader {
    /// How far the log was read, in bytes of the attempt that [`LogPiece::Attempt`] named last.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next piece; none at the end.
    ///
    /// # Errors
    ///
    /// There is no such build, or the coordinator was not reached for longer than the client is patient.
    pub async fn next(&mut self) -> Result<Option<LogPiece>, ClientError> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if let Some(attempt) = self.attempt.filter(|_| !self.announced) {
                self.announced = true;
                return Ok(Some(LogPiece::Attempt(attempt)));
            }
            if self.body.is_some() {
                if let Some(bytes) = self.read().await? {
                    return Ok(Some(LogPiece::Bytes(bytes)));
                }
            } else {
                self.ask().await?;
            }
        }
    }

    async fn ask(&mut self) -> Result<(), ClientError> {
        let message = Message::Log {
            build: self.build,
            attempt: self.attempt,
            offset: self.offset,
            wait_ms: if self.follow { WAIT_MS } else { 0 },
        };
        let (answer, body) = match self
            .client
            .endpoint
            .call(&self.client.peer, message, None)
            .await
        {
            Ok(answer) => answer,
            Err(refusal) if !refusal.is_transient() && self.follow && self.announced => {
                return self.taken_away(refusal).await;
            }
            Err(refusal) => return Ok(self.patience.pause(refusal).await?),
        };
        let Answer::Log {
            attempt,
            offset,
            length,
            complete,
        } = answer
        else {
            return Err(ClientError::Answer { question: "Log" });
        };
        let (Some(attempt), Some(skip)) = (attempt, self.offset.checked_sub(offset)) else {
            // No attempt yet, or less of a log than was asked for.
            return self.nothing_there(attempt).await;
        };
        self.attempt = Some(attempt);
        if length == 0 && !self.follow {
            self.ended = true;
            return Ok(());
        }
        let end = offset.saturating_add(length);
        self.body = Some(Open {
            body: body.unwrap_or_else(grange_interfaces::empty_body),
            skip,
            end,
            complete,
        });
        Ok(())
    }

    /// The attempt that was read is refused: where its log was dropped with it (its build was canceled, another attempt
    /// won), there is nothing more of it to come.
    async fn taken_away(&mut self, refusal: Refusal) -> Result<(), ClientError> {
        let view = self.client.build(self.build).await?;
        let kept = |attempt: &AttemptView| Some(attempt.id) == self.attempt && attempt.has_log;
        if view.attempts.iter().any(kept) {
            return Err(refusal.into());
        }
        self.next_attempt().await
    }

    async fn nothing_there(&mut self, attempt: Option<AttemptId>) -> Result<(), ClientError> {
        if attempt.is_some() {
            return Err(ClientError::Answer { question: "Log" });
        }
        if !self.follow {
            self.ended = true;
            return Ok(());
        }
        self.next_attempt().await
    }

    /// The next bytes of the open body; none once it is at its end.
    async fn read(&mut self) -> Result<Option<Bytes>, ClientError> {
        let Some(open) = &mut self.body else {
            return Ok(None);
        };
        match open.body.next().await {
            Some(Ok(mut bytes)) => {
                let skipped = open.skip.min(bytes.len() as u64);
                open.skip -= skipped;
                // At most its length.
                let _ = bytes.split_to(usize::try_from(skipped).unwrap_or(bytes.len()));
                if bytes.is_empty() {
                    return Ok(None);
                }
                self.offset += bytes.len() as u64;
                self.patience.renew();
                Ok(Some(bytes))
            }
            Some(Err(error)) => {
                self.body = None;
                // What has come counts; the rest is asked for again, from the offset reached.
                self.patience
                    .pause(Refusal::new(Fault::Busy, error.to_string()))
                    .await?;
                Ok(None)
            }
            None => {
                let (whole, complete) = (self.offset >= open.end, open.complete);
                self.body = None;
                if !whole {
                    let cut = Refusal::new(Fault::Busy, "the log broke off");
                    self.patience.pause(cut).await?;
                } else {
                    self.patience.renew();
                    // A log is given in parts: the end is where it says so, or where nothing more is.
                    if complete {
                        self.end_of_attempt().await?;
                    }
                }
                Ok(None)
            }
        }
    }

    async fn end_of_attempt(&mut self) -> Result<(), ClientError> {
        if self.follow {
            return self.next_attempt().await;
        }
        self.ended = true;
        Ok(())
    }

    /// Waits for an attempt behind the one that was read; ends if the build has.
    async fn next_attempt(&mut self) -> Result<(), ClientError> {
        // The journal's number is asked for before the build is looked at, so that nothing is missed between.
        let (_, mut last) = self.client.facts(None, 0).await?;
        loop {
            let view = self.client.build(self.build).await?;
            let newest = view
                .attempts
                .last()
                .filter(|attempt| Some(attempt.id) != self.attempt && attempt.has_log);
            if let Some(attempt) = newest {
                if self.attempt.is_some() {
                    self.offset = 0;
                }
                self.attempt = Some(attempt.id);
                self.announced = false;
                return Ok(());
            }
            if view.summary.state.is_final() {
                self.ended = true;
                return Ok(());
            }
            last = about_build(&self.client, self.build, last).await?;
        }
    }
}

/// Waits for a fact about the build.
///
/// Not a method: a reader with an open body cannot be looked at from two threads, and what waits here would then have
/// to stay on one.
async fn about_build(
    client: &Client,
    build: BuildId,
    mut last: FactNumber,
) -> Result<FactNumber, ClientError> {
    loop {
        let (facts, newest) = client.facts(Some(last), WAIT_MS).await?;
        last = newest;
        if facts.iter().any(|fact| fact.builds.contains(&build)) {
            return Ok(last);
        }
    }
}
