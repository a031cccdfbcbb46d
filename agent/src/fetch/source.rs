//! The nar of an item, over as many connections as it takes.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_agent_core::{Backoff, Jitter};
use grange_derivation::StorePath;
use grange_interfaces::{Body, Clock, ItemInfo, Refusal};
use tracing::debug;

use super::decode::Decompressor;
use super::{FetchError, File};
use crate::calls::{Coordinator, is_void, retry_after};
use crate::pause::pause;

/// How often in a row a connection may bring nothing before the rest is left for later.
const TRIES: u32 = 7;

/// The compressed nar of an item, as far as it came.
pub(crate) struct Source {
    coordinator: Arc<Coordinator>,
    clock: Arc<dyn Clock>,
    jitter: Jitter,
    path: StorePath,
    /// Bytes of the nar.
    nar_size: u64,
    file: File,
    /// Nothing more is to come.
    ended: bool,
    /// Compressed bytes that came.
    offset: u64,
    /// Bytes that they decompressed to.
    made: u64,
    connection: Option<Body>,
    decompressor: Decompressor,
    backoff: Backoff,
    /// Where it is said why the body broke off: a body has only I/O errors.
    failure: Arc<Mutex<Option<FetchError>>>,
}

impl Source {
    pub(crate) fn new(
        coordinator: Arc<Coordinator>,
        clock: Arc<dyn Clock>,
        jitter: Jitter,
        info: &ItemInfo,
        file: File,
        failure: Arc<Mutex<Option<FetchError>>>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            coordinator,
            clock,
            jitter,
            path: info.path.clone(),
            nar_size: info.nar_size,
            file,
            ended: false,
            offset: 0,
            made: 0,
            connection: None,
            decompressor: Decompressor::new()?,
            backoff: Backoff::ordinary(),
            failure,
        })
    }

    /// The nar, uncompressed. Nothing is asked for before the body is read.
    pub(crate) fn into_body(self) -> Body {
        let next = |mut source: Self| async move {
            match source.next().await {
                Ok(piece) => piece.map(|piece| (Ok(piece), source)),
                Err(error) => {
                    let message = format!("{error:?}");
                    *source
                        .failure
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner) = Some(error);
                    // After an error there is nothing more.
                    source.finish();
                    Some((Err(std::io::Error::other(message)), source))
                }
            }
        };
        stream::unfold(self, next).boxed()
    }

    fn finish(&mut self) {
        self.connection = None;
        self.ended = true;
    }

    /// Whether all has come.
    fn is_complete(&self) -> bool {
        match self.file.size {
            Some(size) => self.offset == size,
            None => self.made == self.nar_size,
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        while !self.ended {
            let piece = self
                .decompressor
                .next()
                .map_err(|error| self.damaged(&error.to_string()))?;
            if let Some(piece) = piece {
                self.made += piece.len() as u64;
                return Ok(Some(piece));
            }
            if self.is_complete() {
                return Ok(None);
            }
            let Some(connection) = &mut self.connection else {
                self.connect().await?;
                continue;
            };
            match connection.next().await {
                Some(Ok(piece)) => self.came(piece)?,
                Some(Err(error)) => {
                    self.broken(Refusal::busy(error.to_string(), Default::default()))
                        .await?
                }
                None => {
                    let message = "the connection ended before the item did";
                    self.broken(Refusal::busy(message, Default::default()))
                        .await?;
                }
            }
        }
        Ok(None)
    }

    async fn connect(&mut self) -> Result<(), FetchError> {
        let path = self.path.to_string();
        let (view, body) = match self.coordinator.fetch_item(&path, self.offset).await {
            Ok(answer) => answer,
            Err(refusal) => return self.broken(refusal).await,
        };
        if view.file_hash != self.file.hash {
            if self.offset > 0 {
                let message = format!("{path} was replaced while it was fetched");
                return Err(FetchError::Later {
                    message,
                    retry_after: None,
                });
            }
            self.file = File::from(&view);
        }
        self.connection = Some(body);
        Ok(())
    }

    fn came(&mut self, piece: Bytes) -> Result<(), FetchError> {
        self.backoff.succeeded();
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(length);
        if self.file.size.is_some_and(|size| self.offset > size) {
            return Err(self.damaged("it has more bytes than announced"));
        }
        self.decompressor.feed(piece);
        Ok(())
    }

    /// Waits before the next connection, if there is to be one.
    async fn broken(&mut self, refusal: Refusal) -> Result<(), FetchError> {
        self.connection = None;
        let path = &self.path;
        let error = FetchError::refused(path, &refusal);
        if is_void(&refusal)
            || !matches!(error, FetchError::Later { .. })
            || self.backoff.failures() + 1 >= TRIES
        {
            return Err(error);
        }
        debug!(%path, offset = self.offset, %refusal, "the transfer broke off");
        let wait = self.backoff.failed(&mut self.jitter, retry_after(&refusal));
        pause(&*self.clock, wait).await;
        Ok(())
    }

    fn damaged(&self, what: &str) -> FetchError {
        FetchError::Other(format!("what came for {} is damaged: {what}", self.path))
    }
}
