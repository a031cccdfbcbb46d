//! The handle.

use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use futures::stream::BoxStream;
use grange_fail_points::{Point, reach};
use grange_interfaces::{Claim, Claimed, Datastore, FinishedFilter, History, Page, StoreError};
use grange_model::{
    Batch, BuildId, BuildState, DerivationRecord, Digest, FactNumber, FinishedBuild, ItemRecord,
    Key, NumberedFact, Record, Seq, Term,
};
use tokio::sync::{mpsc, oneshot};

use crate::commit::Commits;
use crate::error::io;
use crate::gets::Gets;
use crate::keeper::Keeper;
use crate::lock::ProcessLock;
use crate::readers::Readers;
use crate::schema::{self, MIGRATIONS, Standing};
use crate::writer::Command;
use crate::{CheckReport, SqliteConfig, check, connection, load, query, read, writer};

/// A [`Datastore`] in one SQLite file.
///
/// Its methods want a tokio runtime. Dropping it finishes the commits that were handed in, and
/// waits for that: afterwards the file is closed and its lock is free.
#[derive(Debug)]
pub struct SqliteDatastore {
    path: PathBuf,
    readers: Arc<Readers>,
    gets: Gets,
    /// None only while it is dropped.
    commands: Option<mpsc::Sender<Command>>,
    threads: Vec<JoinHandle<()>>,
}

impl SqliteDatastore {
    /// Opens the database, and makes it if it is not there; its directory has to be there.
    ///
    /// An older schema is brought up to date. Blocks while it does so, or for up to
    /// [`SqliteConfig::busy`] while another process writes.
    ///
    /// # Errors
    ///
    /// [`StoreError::NewerSchema`]; [`StoreError::Corrupt`] if the file is no database of Grange
    /// or is damaged; [`StoreError::InUse`] if the schema is older and another coordinator runs on it;
    /// [`StoreError::Unavailable`] if the file cannot be opened.
    pub fn open(path: impl AsRef<Path>, config: SqliteConfig) -> Result<Self, StoreError> {
        let path = path.as_ref();
        // SQLite gives some relative names a meaning of their own.
        let path = absolute(path).map_err(io(format!("cannot open {}", path.display())))?;
        let lock = Arc::new(ProcessLock::beside(&path));
        connection::create(&path)?;
        reach(Point::DatabaseMade);
        let mut writer = connection::writer(&path, &config)?;
        let standing = schema::standing(&writer, MIGRATIONS)?;
        connection::use_wal(&writer, &config)?;
        if standing != Standing::Current {
            if matches!(standing, Standing::Older(_)) {
                lock.acquire()?;
            }
            schema::migrate(&mut writer, MIGRATIONS)?;
            // Claimed by who claims.
            lock.release();
        }
        schema::check_position(&writer)?;
        drop(Commits::new(&writer)?);
        let (keeper, keeper_thread) = Keeper::start(
            connection::keeper(&path, &config)?,
            Arc::clone(&lock),
            &config,
        )?;
        let (commands, receiver) = mpsc::channel(config.queue.max(1));
        let writer_thread = writer::start(writer, keeper, lock, receiver)?;
        Ok(Self {
            readers: Arc::new(Readers::new(path.clone(), config)),
            gets: Gets::default(),
            path,
            commands: Some(commands),
            threads: vec![writer_thread, keeper_thread],
        })
    }

    /// The database's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole database and says what is wrong with it: SQLite's own integrity check, that
    /// every record decodes and lies under its key, that indexes and counts agree with the records,
    /// and that the journal has no gap. Takes as long as reading the file takes; commits go on meanwhile.
    ///
    /// # Errors
    ///
    /// `Unavailable`; `Corrupt` only if the damage keeps the check itself from going on.
    pub async fn check(&self) -> Result<CheckReport, StoreError> {
        self.readers.ask(check::check).await
    }

    async fn tell<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Command,
    ) -> Result<T, StoreError> {
        let ended = || StoreError::Unavailable("the writer has ended".into());
        let (answer, answered) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or_else(ended)?;
        commands.send(command(answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Drop for SqliteDatastore {
    fn drop(&mut self) {
        self.commands = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(path = %self.path.display(), "a thread of the datastore panicked");
            }
        }
    }
}

#[async_trait]
impl Datastore for SqliteDatastore {
    async fn claim(&self, how: Claim) -> Result<Claimed, StoreError> {
        self.tell(|answer| Command::Claim { how, answer }).await
    }

    fn load(&self, term: Term) -> BoxStream<'_, Result<Vec<Record>, StoreError>> {
        load::stream(&self.readers, term)
    }

    async fn commit(&self, term: Term, seq: Seq, batch: Arc<Batch>) -> Result<(), StoreError> {
        self.tell(|answer| Command::Commit {
            term,
            seq,
            batch,
            answer,
        })
        .await
    }
}

#[async_trait]
impl History for SqliteDatastore {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.gets.get(&self.readers, keys.to_vec()).await
    }

    async fn finished(
        &self,
        filter: &FinishedFilter,
        after: Option<BuildId>,
        limit: usize,
    ) -> Result<Page<FinishedBuild>, StoreError> {
        let filter = filter.clone();
        self.readers
            .ask(move |snapshot| query::page(snapshot, &filter, after, limit))
            .await
    }

    async fn are_lost(&self, outputs: &[Digest]) -> Result<Vec<bool>, StoreError> {
        if outputs.is_empty() {
            return Ok(Vec::new());
        }
        let outputs = outputs.to_vec();
        self.readers
            .ask(move |snapshot| query::are_lost(snapshot, &outputs))
            .await
    }

    async fn items(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<ItemRecord>, StoreError> {
        self.readers
            .ask(move |snapshot| read::items(snapshot, after, limit))
            .await
    }

    async fn derivations(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<DerivationRecord>, StoreError> {
        self.readers
            .ask(move |snapshot| read::derivations(snapshot, after, limit))
            .await
    }

    async fn facts(
        &self,
        after: FactNumber,
        limit: usize,
    ) -> Result<Page<NumberedFact>, StoreError> {
        self.readers
            .ask(move |snapshot| read::facts(snapshot, after, limit))
            .await
    }

    async fn count_finished(&self) -> Result<Vec<(BuildState, u64)>, StoreError> {
        self.readers.ask(read::count_finished).await
    }
}
