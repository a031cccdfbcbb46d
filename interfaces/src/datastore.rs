//! Where the coordinator's state lives.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use grange_model::{
    Batch, BuildId, BuildState, DerivationRecord, Digest, FactNumber, FinishedBuild, ItemRecord,
    Key, NumberedFact, Record, Seq, Term,
};

/// Why a Datastore did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another coordinator has claimed the Datastore since: this one must end.
    #[error(
        "another coordinator has claimed the datastore (term {holder:?} is newer than {mine:?})"
    )]
    Fenced {
        /// The caller's term.
        mine: Term,
        /// The newest.
        holder: Term,
    },
    /// Another coordinator holds it, and runs.
    #[error("another coordinator is using the datastore: {0}")]
    InUse(String),
    /// What lies there cannot be trusted. The operator restores a backup.
    #[error("the datastore is damaged: {0}")]
    Corrupt(String),
    /// It was written by a newer Grange. The operator updates this one.
    #[error("the datastore has schema {found}, and this Grange knows only up to {known}")]
    NewerSchema {
        /// What is there.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// It may do later: a full disk, a lost connection. A commit may or may not have been written;
    /// trying it again is safe.
    #[error("the datastore is not available: {0}")]
    Unavailable(String),
}

/// How to claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Fails with [`StoreError::InUse`] if another process seems to hold it.
    Exclusive,
    /// Takes it over: the other finds itself fenced.
    Force,
}

/// A claim that was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The claim's term, higher than all before.
    pub term: Term,
    /// The last commit that was written.
    pub seq: Seq,
    /// The last fact that was written.
    pub fact: FactNumber,
}

/// The records of one coordinator: one writer, fenced by its [`Term`].
///
/// # Contract
///
/// * `claim` is durable; terms only grow, and a lower term can write nothing from then on, not even
///   a commit that is under way.
/// * `commit(term, seq, batch)` writes all of the batch or nothing and is durable when it returns
///   `Ok`. `seq` is one more than that of the last commit. The same `(term, seq)` again is the same
///   commit: it returns `Ok` and changes nothing. Another gap or repetition is
///   [`StoreError::Corrupt`]: the caller has lost count.
/// * After `Unavailable` the commit may or may not be there. The caller repeats it.
/// * `load` gives every live record once, as of a moment after the claim: agents, hooks, attempts,
///   unfinished builds and the derivations that these are of (nothing else).
#[async_trait]
pub trait Datastore: History {
    /// Becomes the only writer.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] but `Fenced`.
    async fn claim(&self, how: Claim) -> Result<Claimed, StoreError>;

    /// The live records, in chunks.
    fn load(&self, term: Term) -> BoxStream<'_, Result<Vec<Record>, StoreError>>;

    /// Writes a batch.
    ///
    /// # Errors
    ///
    /// `Fenced`, `Corrupt`, `Unavailable`.
    async fn commit(&self, term: Term, seq: Seq, batch: Arc<Batch>) -> Result<(), StoreError>;
}

/// Which finished builds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinishedFilter {
    /// Only those that ended so.
    pub state: Option<BuildState>,
    /// Only those with all of these tags.
    pub tags: Vec<(String, String)>,
    /// Only those for this system.
    pub system: Option<String>,
    /// Only those of this derivation.
    pub derivation: Option<Digest>,
    /// Only those that ended as failed-dependency with this lost input among their causes.
    pub lost_input: Option<Digest>,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In order.
    pub entries: Vec<T>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

/// What was written. Can be read on a replica, which may be behind.
///
/// # Contract
///
/// * Reads see at least every commit that was acknowledged before they began, and only whole commits.
/// * Items and finished builds (the logs of their attempts) are all that names a blob: what neither
///   [`History::items`] nor [`History::finished`] gives is named by no record. So both give every
///   record that was there before the first page was read and still is when the last one is. So does
///   [`History::derivations`].
#[async_trait]
pub trait History: Send + Sync + fmt::Debug {
    /// The records under these keys, in the order of the keys.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Unavailable`.
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError>;

    /// Finished builds in the order of their ids, behind `after`, at most `limit`.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Unavailable`.
    async fn finished(
        &self,
        filter: &FinishedFilter,
        after: Option<BuildId>,
        limit: usize,
    ) -> Result<Page<FinishedBuild>, StoreError>;

    /// For each of these outputs, whether there is a finished build that ended for want of it. By default each is asked for with
    /// [`finished`](History::finished).
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Unavailable`.
    async fn are_lost(&self, outputs: &[Digest]) -> Result<Vec<bool>, StoreError> {
        let mut lost = Vec::with_capacity(outputs.len());
        for output in outputs {
            let filter = FinishedFilter {
                lost_input: Some(*output),
                ..FinishedFilter::default()
            };
            let page = self.finished(&filter, None, 1).await?;
            lost.push(!page.entries.is_empty());
        }
        Ok(lost)
    }

    /// Items that are available, in the order of their digests, behind `after`, at most `limit`.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Unavailable`.
    async fn items(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<ItemRecord>, StoreError>;

    /// All derivations, in the order of their digests, behind `after`, at most `limit`. Their texts
    /// are got one by one.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Unavailable`.
    async fn derivations(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<DerivationRecord>, StoreError>;

    /// Facts behind `after`, in order, at most `limit`.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Unavailable`.
    async fn facts(
        &self,
        after: FactNumber,
        limit: usize,
    ) -> Result<Page<NumberedFact>, StoreError>;

    /// How many finished builds there are in each state.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Unavailable`.
    async fn count_finished(&self) -> Result<Vec<(BuildState, u64)>, StoreError>;
}
