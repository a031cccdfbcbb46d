//! Connections that answer questions.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use grange_interfaces::StoreError;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::SqliteConfig;
use crate::connection;
use crate::error::at;

/// A pool of connections that only read, opened as they are needed.
pub(crate) struct Readers {
    path: PathBuf,
    config: SqliteConfig,
    /// One permit for each connection that may be in use.
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, config: SqliteConfig) -> Self {
        let permits = Arc::new(Semaphore::new(config.readers.max(1)));
        Self {
            path,
            config,
            permits,
            idle: Arc::default(),
        }
    }

    /// How many questions are answered at once.
    pub(crate) fn count(&self) -> usize {
        self.config.readers.max(1)
    }

    /// Asks `question` in one snapshot, on a thread that may wait.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Unavailable("the datastore has been closed".into()))?;
        let taken = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let (path, config) = (self.path.clone(), self.config.clone());
        let idle = Arc::clone(&self.idle);
        let work = move || {
            let mut connection = match taken {
                Some(connection) => connection,
                None => connection::reader(&path, &config)?,
            };
            let answer = snapshot(&mut connection, question);
            // One that failed may be in any state: the next question opens another.
            if answer.is_ok() {
                idle.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(connection);
            }
            drop(permit);
            answer
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| StoreError::Unavailable(format!("a reader ended: {error}")))?
    }

    /// A connection of its own, for what may take as long as its caller likes.
    pub(crate) fn open(&self) -> impl FnOnce() -> Result<Connection, StoreError> + Send + use<> {
        let (path, config) = (self.path.clone(), self.config.clone());
        move || connection::reader(&path, &config)
    }
}

/// Asks `question` of one moment. Where that fails, the connection may be in any state.
pub(crate) fn snapshot<T>(
    connection: &mut Connection,
    question: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // Statements that are kept: to read these two words takes longer than to do what they say.
    let say = |words: &str| connection.prepare_cached(words)?.execute([]);
    say("BEGIN DEFERRED").map_err(at("cannot begin to read"))?;
    let answer = question(connection)?;
    say("COMMIT").map_err(at("cannot end to read"))?;
    Ok(answer)
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
