//! The contract, kept with a file.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use grange::interfaces::{Claim, Claimed, Datastore, FinishedFilter, History, Page, StoreError};
use grange::model::{
    Batch, BuildId, BuildState, DerivationRecord, Digest, FactNumber, FinishedBuild, ItemRecord,
    Key, NumberedFact, Record, Seq, Term,
};

use super::file::{Entry, LogFile, unavailable};
use super::state::State;

/// Records that `load` gives in a chunk.
const CHUNK: usize = 1_000;

/// A [`Datastore`] in a file that only grows.
#[derive(Clone, Debug)]
pub struct AppendLog(Arc<Mutex<Opened>>);

#[derive(Debug)]
struct Opened {
    log: LogFile,
    state: State,
    holder: PathBuf,
    /// Locked since this process claimed the store.
    held: Option<File>,
}

impl AppendLog {
    /// Opens the file, and makes it if there is none. Blocks while it is read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let mut holder = path.as_os_str().to_owned();
        holder.push(".holder");
        let mut opened = Opened {
            log: LogFile::open(path).map_err(|error| unavailable(&error))?,
            state: State::default(),
            holder: holder.into(),
            held: None,
        };
        opened.catch_up()?;
        Ok(Self(Arc::new(Mutex::new(opened))))
    }

    /// Runs on a thread that may wait for the disk. Once begun, it is done, whoever gives up.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Opened) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let opened = Self(Arc::clone(&self.0));
        let done = tokio::task::spawn_blocking(move || work(&mut opened.opened())).await;
        done.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// The same for what looks at everything that was acknowledged.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.blocking(move |opened| {
            opened.catch_up()?;
            Ok(look(&opened.state))
        })
        .await
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        // State changes only by whole entries, which do not panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    /// Applies what others have appended.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        for entry in self.log.read_new()? {
            self.state.apply(entry);
        }
        Ok(())
    }

    fn claim(&mut self, how: Claim) -> Result<Claimed, StoreError> {
        self.hold(how)?;
        let lock = self.log.lock().map_err(|error| unavailable(&error))?;
        self.catch_up()?;
        let term = Term(self.state.term.0 + 1);
        self.log.append(&Entry::Claim(term), &lock)?;
        self.state.apply(Entry::Claim(term));
        Ok(Claimed {
            term,
            seq: self.state.seq(),
            fact: self.state.fact(),
        })
    }

    /// Locks the file that says that somebody has claimed the store.
    fn hold(&mut self, how: Claim) -> Result<(), StoreError> {
        if self.held.is_some() {
            return Ok(());
        }
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false);
        let file = options
            .open(&self.holder)
            .map_err(|error| unavailable(&error))?;
        match (file.try_lock(), how) {
            (Ok(()), _) => self.held = Some(file),
            // Who takes it over goes without: the other ends once it finds itself fenced.
            (Err(TryLockError::WouldBlock), Claim::Force) => {}
            (Err(TryLockError::WouldBlock), Claim::Exclusive) => {
                let name = self.holder.display();
                return Err(StoreError::InUse(format!("{name} is locked")));
            }
            (Err(TryLockError::Error(error)), _) => return Err(unavailable(&error)),
        }
        Ok(())
    }

    fn commit(&mut self, term: Term, seq: Seq, batch: &Batch) -> Result<(), StoreError> {
        let lock = self.log.lock().map_err(|error| unavailable(&error))?;
        self.catch_up()?;
        let holder = self.state.term;
        if term < holder {
            return Err(StoreError::Fenced { mine: term, holder });
        }
        if self.state.last == Some((term, seq)) {
            // It may be that it was written and not synced, and the caller was told so.
            return self.log.sync();
        }
        if term > holder || Some(seq.0) != self.state.seq().0.checked_add(1) {
            let last = self.state.seq();
            let message = format!("{seq:?} of {term:?} does not follow {last:?} of {holder:?}");
            return Err(StoreError::Corrupt(message));
        }
        let entry = Entry::Commit(term, seq, batch.clone());
        self.log.append(&entry, &lock)?;
        self.state.apply(entry);
        Ok(())
    }
}

#[async_trait]
impl Datastore for AppendLog {
    async fn claim(&self, how: Claim) -> Result<Claimed, StoreError> {
        self.blocking(move |opened| opened.claim(how)).await
    }

    fn load(&self, _: Term) -> BoxStream<'_, Result<Vec<Record>, StoreError>> {
        // Of one moment: a copy of what lives. A store that is larger than memory takes a snapshot.
        let live = self.read(State::live);
        let chunks = stream::once(live).flat_map(|live| match live {
            Ok(records) => {
                let chunks: Vec<_> = records.chunks(CHUNK).map(|it| Ok(it.to_vec())).collect();
                stream::iter(chunks)
            }
            Err(error) => stream::iter(vec![Err(error)]),
        });
        chunks.boxed()
    }

    async fn commit(&self, term: Term, seq: Seq, batch: Arc<Batch>) -> Result<(), StoreError> {
        self.blocking(move |opened| opened.commit(term, seq, &batch))
            .await
    }
}

#[async_trait]
impl History for AppendLog {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let keys = keys.to_vec();
        self.read(move |state| {
            let found = keys.iter().map(|key| state.records.get(key).cloned());
            found.collect()
        })
        .await
    }

    async fn finished(
        &self,
        filter: &FinishedFilter,
        after: Option<BuildId>,
        limit: usize,
    ) -> Result<Page<FinishedBuild>, StoreError> {
        let filter = filter.clone();
        self.read(move |state| state.finished(&filter, after, limit))
            .await
    }

    async fn items(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<ItemRecord>, StoreError> {
        let pick = move |record: &Record| match record {
            Record::Item(item) if after.is_none_or(|it| item.item.digest > it) => {
                Some(item.clone())
            }
            _ => None,
        };
        self.read(move |state| state.page(limit, pick)).await
    }

    async fn derivations(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<DerivationRecord>, StoreError> {
        let pick = move |record: &Record| match record {
            Record::Derivation(derivation)
                if after.is_none_or(|it| derivation.item.digest > it) =>
            {
                Some(derivation.clone())
            }
            _ => None,
        };
        self.read(move |state| state.page(limit, pick)).await
    }

    async fn facts(
        &self,
        after: FactNumber,
        limit: usize,
    ) -> Result<Page<NumberedFact>, StoreError> {
        self.read(move |state| state.facts(after, limit)).await
    }

    async fn count_finished(&self) -> Result<Vec<(BuildState, u64)>, StoreError> {
        self.read(State::count_finished).await
    }
}
