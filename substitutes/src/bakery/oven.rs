//! Where it is done.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grange_interfaces::Body;
use grange_model::BlobId;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::growing::{Growing, Progress};
use super::job::Job;
use super::shelf::{Shelf, delete};
use crate::compression::NarCompression;

/// How long somebody waits for a worker before being told to come again: a large nar takes a while, and clients that are
/// told so mostly do without.
const WAIT: Duration = Duration::from_mins(2);

/// Compresses nars anew for clients that cannot read what lies here, and keeps them for a while.
#[derive(Debug)]
pub struct Bakery(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    /// Locked by threads of the runtime as well: so nobody reads or writes a disk meanwhile.
    state: Mutex<State>,
    workers: Arc<Semaphore>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) shelf: Shelf,
    pub(super) baking: HashMap<Loaf, Growing>,
}

/// A nar in a compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Loaf {
    /// As it lies in the farm.
    pub(crate) blob: BlobId,
    pub(crate) compression: NarCompression,
}

/// What one gets.
pub(crate) enum Baked {
    /// A file of so many bytes.
    Whole(File, u64),
    /// Bytes, as they are made.
    Growing(Body),
    /// All workers are busy, and stayed so.
    Busy,
}

impl Bakery {
    /// Keeps what it makes in `directory`, which is made if it is not there and belongs to this process alone; at most
    /// `most_bytes` and what is being made. `workers` nars are compressed at once, each on a thread of its own.
    ///
    /// # Errors
    ///
    /// The directory cannot be made or read.
    pub fn open(directory: &Path, most_bytes: u64, workers: usize) -> io::Result<Self> {
        let state = State {
            shelf: Shelf::open(directory, most_bytes)?,
            baking: HashMap::new(),
        };
        Ok(Self(Arc::new(Shared {
            state: Mutex::new(state),
            workers: Arc::new(Semaphore::new(workers.max(1))),
        })))
    }

    /// How many bytes it has, if it is there.
    pub(crate) fn size(&self, loaf: Loaf) -> Option<u64> {
        self.0.state().shelf.size(loaf)
    }

    /// A nar of `nar_size` bytes, out of its file, or made of what `read` gives.
    pub(crate) async fn get<E: From<io::Error>>(
        &self,
        loaf: Loaf,
        nar_size: u64,
        read: impl Future<Output = Result<Body, E>>,
    ) -> Result<Baked, E> {
        if let Some(baked) = self.find(loaf).await? {
            return Ok(baked);
        }
        let workers = Arc::clone(&self.0.workers);
        let Ok(Ok(place)) = timeout(WAIT, workers.acquire_owned()).await else {
            return Ok(Baked::Busy);
        };
        // Somebody else may have been first meanwhile.
        if let Some(baked) = self.find(loaf).await? {
            return Ok(baked);
        }
        let body = read.await?;
        let (sender, progress) = watch::channel(Progress::default());
        let shared = Arc::clone(&self.0);
        let begin = move || -> io::Result<Option<(Job, Growing)>> {
            let part = shared.state().shelf.part(loaf);
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true);
            let file = Arc::new(options.open(&part)?);
            let growing = Growing {
                file: Arc::clone(&file),
                progress,
            };
            let mut state = shared.state();
            if state.baking.contains_key(&loaf) || state.shelf.size(loaf).is_some() {
                drop(state);
                delete(&[part]);
                return Ok(None);
            }
            state.baking.insert(loaf, growing.clone());
            drop(state);
            let job = Job {
                shared: Arc::clone(&shared),
                loaf,
                file,
                part,
                progress: sender,
                nar_size,
                _place: place,
            };
            Ok(Some((job, growing)))
        };
        match spawn_blocking(begin).await.map_err(io::Error::other)?? {
            Some((job, growing)) => {
                let reader = SyncIoBridge::new(StreamReader::new(body));
                spawn_blocking(move || job.run(reader));
                Ok(Baked::Growing(growing.body()))
            }
            None => Ok(self.find(loaf).await?.unwrap_or(Baked::Busy)),
        }
    }

    async fn find(&self, loaf: Loaf) -> io::Result<Option<Baked>> {
        let shared = Arc::clone(&self.0);
        let find = move || {
            let (found, growing) = {
                let mut state = shared.state();
                (state.shelf.take(loaf), state.baking.get(&loaf).cloned())
            };
            if let Some(found) = found {
                match File::open(&found.path) {
                    Ok(file) => return Ok(Some(Baked::Whole(file, found.size))),
                    // Others may delete what is in the directory.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        shared.state().shelf.lost(loaf, &found);
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(growing.map(|growing| Baked::Growing(growing.body())))
        };
        spawn_blocking(find).await.map_err(io::Error::other)?
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::StreamExt;
    use futures::channel::mpsc;
    use tokio::time::{Instant, advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_finds_all_workers_busy_waits_for_two_minutes() {
        let directory = tempfile::tempdir().unwrap();
        let bakery = Bakery::open(directory.path(), 1 << 20, 1).unwrap();
        let loaf = |number| Loaf {
            blob: BlobId([number; 32]),
            compression: NarCompression::Gzip,
        };
        // A nar of which nothing comes, until the end of this test.
        let (_sender, never) = mpsc::unbounded::<io::Result<Bytes>>();
        let first = bakery.get(loaf(1), 1, async { io::Result::Ok(never.boxed()) });
        assert!(matches!(first.await.unwrap(), Baked::Growing(_)));
        let begun = Instant::now();
        let read = async { Err(io::Error::other("nobody may ask for it")) };
        let second = bakery.get(loaf(2), 1, read);
        tokio::pin!(second);
        let baked = loop {
            tokio::select! {
                biased;
                baked = &mut second => break baked.unwrap(),
                () = advance(Duration::from_secs(1)) => {}
            }
        };
        assert!(matches!(baked, Baked::Busy));
        assert!(begun.elapsed() >= Duration::from_mins(2));
    }

    #[tokio::test]
    async fn what_was_deleted_behind_our_back_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let bakery = Bakery::open(directory.path(), 1 << 20, 1).unwrap();
        let loaf = Loaf {
            blob: BlobId([1; 32]),
            compression: NarCompression::None,
        };
        let get = async || {
            let nar = Bytes::from(zstd::encode_all(&b"nar"[..], 1).unwrap());
            let read = async { io::Result::Ok(futures::stream::iter([Ok(nar)]).boxed()) };
            bakery.get(loaf, 3, read).await.unwrap()
        };
        for _ in 0..2 {
            let Baked::Growing(mut body) = get().await else {
                panic!("it is not here");
            };
            while let Some(piece) = body.next().await {
                piece.unwrap();
            }
            assert!(matches!(get().await, Baked::Whole(_, 3)));
            let path = bakery.0.state().shelf.path(loaf);
            std::fs::remove_file(path).unwrap();
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
