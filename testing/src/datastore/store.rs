//! The handle.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use grange_interfaces::{Claim, Claimed, Datastore, FinishedFilter, History, Page, StoreError};
use grange_model::{
    Batch, BuildId, BuildState, DerivationRecord, Digest, FactNumber, FinishedBuild, ItemRecord,
    Key, NumberedFact, Record, Seq, Term,
};

use super::faults::Faults;
use super::state::State;

/// A [`Datastore`] in memory, for tests: stricter than a real one, and it fails when told to.
///
/// Beyond the contract, a commit is `Corrupt`, says why, and changes nothing, if
///
/// * it repeats a commit with another content, or its facts do not follow the last one;
/// * a record is something else after it was encoded and decoded;
/// * afterwards an unfinished build has no derivation record, has two rows, or is finished as well;
/// * it puts an attempt of no unfinished build or of a term that nobody claimed, a finished build
///   whose state is not final, or a hook that is done with facts that are not there.
///
/// `load` gives its records in an unusual order and in small chunks.
pub struct MemoryDatastore {
    shared: Arc<Shared>,
    handle: u64,
    closed: AtomicBool,
}

/// What survives the handles.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    faults: Faults,
}

impl MemoryDatastore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Arc::default())
    }

    /// Another handle on the same, as another process would have.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }

    /// As if the process had been killed and started again: this handle is of no use any more
    /// (everything is `Unavailable`), commits that are held are never written, and the new handle
    /// finds what was committed. No fault is planned for it.
    #[must_use]
    pub fn reopen(&self) -> Self {
        self.closed.store(true, Ordering::SeqCst);
        self.state().leave(self.handle);
        self.shared.faults.before(0);
        self.shared.faults.after(0);
        self.shared.faults.release();
        self.another()
    }

    /// The next `commits` fail with `Unavailable`, and nothing of them is written.
    pub fn fail_before(&self, commits: u32) {
        self.shared.faults.before(commits);
    }

    /// The next `commits` fail with `Unavailable`, although all of them is written.
    pub fn fail_after(&self, commits: u32) {
        self.shared.faults.after(commits);
    }

    /// From now on commits wait, before anything of them is written, until [`Self::release`].
    pub fn hold(&self) {
        self.shared.faults.hold();
    }

    /// Lets the commits go on that wait.
    pub fn release(&self) {
        self.shared.faults.release();
    }

    /// As if another coordinator had taken it over: every term so far is fenced.
    ///
    /// # Panics
    ///
    /// Never: the claim is forced.
    pub fn fence(&self) -> Term {
        let claimed = self
            .state()
            .claim(0, Claim::Force)
            .expect("a forced claim is granted");
        claimed.term
    }

    /// The last commit that was written.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.state().seq()
    }

    fn of(shared: Arc<Shared>) -> Self {
        let handle = shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .handle();
        Self {
            shared,
            handle,
            closed: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is locked, but for a failed allocation.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable(
                "this handle's process has ended".into(),
            ));
        }
        Ok(self.state())
    }
}

impl Default for MemoryDatastore {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MemoryDatastore {
    fn drop(&mut self) {
        self.state().leave(self.handle);
    }
}

impl fmt::Debug for MemoryDatastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDatastore")
            .field("handle", &self.handle)
            .field("seq", &self.seq())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Datastore for MemoryDatastore {
    async fn claim(&self, how: Claim) -> Result<Claimed, StoreError> {
        self.open_state()?.claim(self.handle, how)
    }

    fn load(&self, term: Term) -> BoxStream<'_, Result<Vec<Record>, StoreError>> {
        let chunks = self.open_state().and_then(|state| {
            if state.term > term {
                return Err(StoreError::Fenced {
                    mine: term,
                    holder: state.term,
                });
            }
            state.live_records()
        });
        match chunks {
            Ok(chunks) => stream::iter(chunks.into_iter().map(Ok)).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn commit(&self, term: Term, seq: Seq, batch: Arc<Batch>) -> Result<(), StoreError> {
        let faults = &self.shared.faults;
        faults.pass().await;
        let mut state = self.open_state()?;
        faults.fail_before()?;
        state.commit(term, seq, &batch)?;
        faults.fail_after()
    }
}

#[async_trait]
impl History for MemoryDatastore {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let state = self.open_state()?;
        keys.iter().map(|key| state.record(key)).collect()
    }

    async fn finished(
        &self,
        filter: &FinishedFilter,
        after: Option<BuildId>,
        limit: usize,
    ) -> Result<Page<FinishedBuild>, StoreError> {
        self.open_state()?.finished(filter, after, limit)
    }

    async fn items(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<ItemRecord>, StoreError> {
        self.open_state()?.items(after, limit)
    }

    async fn derivations(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<DerivationRecord>, StoreError> {
        self.open_state()?.derivations(after, limit)
    }

    async fn facts(
        &self,
        after: FactNumber,
        limit: usize,
    ) -> Result<Page<NumberedFact>, StoreError> {
        self.open_state()?.facts(after, limit)
    }

    async fn count_finished(&self) -> Result<Vec<(BuildState, u64)>, StoreError> {
        self.open_state()?.count_finished()
    }
}
