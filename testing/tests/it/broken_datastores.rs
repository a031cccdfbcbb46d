//! Each of these breaks one sentence of the contract, and the case for that sentence fails.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use grange_interfaces::{Claim, Claimed, Datastore, FinishedFilter, History, Page, StoreError};
use grange_model::{
    Batch, BuildId, BuildState, Change, DerivationRecord, Digest, FactNumber, FinishedBuild,
    ItemRecord, Key, NumberedFact, Record, Seq, Term,
};
use grange_testing::conformance::DatastoreBench;
use grange_testing::{MemoryDatastore, sample};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing: no case fails.
    None,
    /// Acknowledges a commit that is written with the next one.
    WritesLater,
    /// Does not sync the facts of a commit without changes.
    ForgetsFacts,
    /// Shows half of a commit while it writes the other half.
    ShowsHalves,
    /// Keeps the facts of what it refuses.
    KeepsRefusedFacts,
    /// Takes a repeated commit for another one.
    RefusesRepetition,
    /// Takes a repeated commit for a new one, and writes it once more.
    AppliesTwice,
    /// Takes any commit of a number that was written for a repetition.
    AcceptsOldOnes,
    /// Does not count a commit that says nothing.
    SkipsEmptyOnes,
    /// Writes the terms of those alone who write something.
    ForgetsTerms,
    /// Writes for a coordinator that was fenced.
    IgnoresTerms,
    /// Asks for the term before it waits for the disk, and not after.
    ChecksTermsFirst,
    /// Lets anybody claim.
    IgnoresHolders,
    /// Begins with an agent.
    HasAnAgent,
    /// Loads the last record of each chunk twice.
    LoadsTwice,
    /// Loads a derivation for each of its builds.
    LoadsForEachBuild,
    /// Loads no derivations.
    LoadsTooLittle,
    /// Loads each chunk as it is when its turn comes.
    LoadsAsItGoes,
    /// Forgets the passwords of agents.
    LosesPasswords,
    /// Gives the facts of a page from the last to the first.
    ReordersFacts,
    /// Counts builds that are not there any more.
    NeverCountsDown,
    /// Counts down for builds that were not there.
    CountsDownForNothing,
    /// Shows facts only to who writes.
    HidesFacts,
}

/// What is stored, and what the defects need beside it.
struct Bench {
    store: MemoryDatastore,
    defect: Defect,
    shared: Arc<Shared>,
}

/// What all who have it open know.
#[derive(Debug, Default)]
struct Shared {
    /// The newest term.
    term: AtomicU64,
    /// How many facts there are, and how many before the last commit without changes.
    facts: AtomicU64,
    synced: AtomicU64,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryDatastore,
    defect: Defect,
    shared: Arc<Shared>,
    /// How many claims this process has made.
    claims: AtomicU64,
    /// How many commits it has not counted.
    skipped: AtomicU64,
    /// How many builds it removed that were not there.
    misses: AtomicU64,
    /// How many facts it has; the others were lost.
    end: u64,
    late: Mutex<Option<(Term, Seq, Arc<Batch>)>>,
    /// What is shown of a commit that is being written.
    half: Mutex<BTreeMap<Key, Record>>,
    refused: Mutex<Vec<NumberedFact>>,
}

impl Bench {
    fn new(defect: Defect) -> Self {
        Self {
            store: MemoryDatastore::new(),
            defect,
            shared: Arc::default(),
        }
    }
}

impl DatastoreBench for Bench {
    type Store = Broken;

    async fn open(&self) -> Arc<Broken> {
        let end = match self.defect {
            Defect::ForgetsFacts => self.shared.synced.load(Ordering::SeqCst),
            _ => u64::MAX,
        };
        let facts = self.shared.facts.load(Ordering::SeqCst);
        Arc::new(Broken {
            inner: self.store.another(),
            defect: self.defect,
            shared: Arc::clone(&self.shared),
            claims: AtomicU64::default(),
            skipped: AtomicU64::default(),
            misses: AtomicU64::default(),
            end: if end < facts { end } else { u64::MAX },
            late: Mutex::default(),
            half: Mutex::default(),
            refused: Mutex::default(),
        })
    }
}

impl Broken {
    /// Writes what is late, if there is something.
    async fn write_late(&self) -> Result<(), StoreError> {
        let late = self.late.lock().unwrap().take();
        match late {
            Some((term, seq, batch)) => self.inner.commit(term, seq, batch).await,
            None => Ok(()),
        }
    }

    /// Writes it, whoever holds the store now.
    async fn write_anyway(
        &self,
        term: Term,
        seq: Seq,
        batch: Arc<Batch>,
    ) -> Result<(), StoreError> {
        match self.inner.commit(term, seq, Arc::clone(&batch)).await {
            Err(StoreError::Fenced { holder, .. }) => {
                let next = self.inner.seq().next();
                self.inner.commit(holder, next, batch).await
            }
            done => done,
        }
    }

    /// Remembers what the defects need of what is being written.
    async fn note(&self, batch: &Batch) -> Result<(), StoreError> {
        let facts = batch.first_fact.0 - 1 + batch.facts.len() as u64;
        self.shared.facts.store(facts, Ordering::SeqCst);
        if !batch.changes.is_empty() {
            self.shared.synced.store(facts, Ordering::SeqCst);
        }
        for change in &batch.changes {
            if let Change::Remove(key @ Key::Finished(_)) = change
                && self.inner.get(std::slice::from_ref(key)).await? == [None]
            {
                self.misses.fetch_add(1, Ordering::SeqCst);
            }
        }
        Ok(())
    }

    /// A derivation once more for each build of it but the first.
    async fn load_for_each_build(&self, term: Term) -> Result<Vec<Record>, StoreError> {
        let chunks: Vec<_> = self.inner.load(term).try_collect().await?;
        let records = chunks.concat();
        let mut wanted: BTreeMap<Digest, usize> = BTreeMap::new();
        for record in &records {
            if let Record::Build(build) = record {
                *wanted.entry(build.spec.derivation).or_default() += 1;
            }
        }
        let times = |record: &Record| match record {
            Record::Derivation(record) => wanted.get(&record.item.digest).map_or(1, |it| *it),
            _ => 1,
        };
        let all = records.into_iter();
        let all = all.flat_map(|record| std::iter::repeat_n(record.clone(), times(&record)));
        Ok(all.collect())
    }
}

#[async_trait]
impl Datastore for Broken {
    async fn claim(&self, how: Claim) -> Result<Claimed, StoreError> {
        let how = match self.defect {
            Defect::IgnoresHolders => Claim::Force,
            _ => how,
        };
        let mut claimed = self.inner.claim(how).await?;
        self.shared.term.store(claimed.term.0, Ordering::SeqCst);
        let claims = 1 + self.claims.fetch_add(1, Ordering::SeqCst);
        if self.defect == Defect::ForgetsTerms && claimed.seq == Seq(0) {
            claimed.term = Term(claims);
        }
        claimed.fact.0 = claimed.fact.0.min(self.end);
        Ok(claimed)
    }

    fn load(&self, term: Term) -> BoxStream<'_, Result<Vec<Record>, StoreError>> {
        let inner = self.inner.load(term);
        match self.defect {
            Defect::HasAnAgent if self.inner.seq() == Seq(0) => {
                let agent = vec![Record::Agent(sample::agent(1))];
                stream::iter([Ok(agent)]).chain(inner).boxed()
            }
            Defect::LoadsTwice => {
                let twice = |mut chunk: Vec<Record>| {
                    chunk.extend(chunk.last().cloned());
                    chunk
                };
                inner.map_ok(twice).boxed()
            }
            Defect::LoadsForEachBuild => self.load_for_each_build(term).into_stream().boxed(),
            Defect::LoadsTooLittle => {
                let fewer = |mut chunk: Vec<Record>| {
                    chunk.retain(|record| !matches!(record, Record::Derivation(_)));
                    chunk
                };
                inner.map_ok(fewer).boxed()
            }
            Defect::LoadsAsItGoes => {
                let now = async |chunk: Vec<Record>| {
                    let keys: Vec<_> = chunk.iter().map(Record::key).collect();
                    let found = self.inner.get(&keys).await?;
                    Ok(found.into_iter().flatten().collect())
                };
                inner.and_then(now).boxed()
            }
            _ => inner,
        }
    }

    async fn commit(&self, term: Term, seq: Seq, batch: Arc<Batch>) -> Result<(), StoreError> {
        match self.defect {
            Defect::WritesLater => {
                self.write_late().await?;
                *self.late.lock().unwrap() = Some((term, seq, batch));
                Ok(())
            }
            Defect::ForgetsFacts | Defect::CountsDownForNothing => {
                self.note(&batch).await?;
                self.inner.commit(term, seq, batch).await
            }
            Defect::ShowsHalves => {
                let puts = batch.changes.iter().filter_map(|change| match change {
                    Change::Put(record) => Some((record.key(), record.clone())),
                    Change::Remove(_) => None,
                });
                let half = puts.take(batch.changes.len() / 2).collect();
                *self.half.lock().unwrap() = half;
                tokio::task::yield_now().await;
                let written = self.inner.commit(term, seq, batch).await;
                self.half.lock().unwrap().clear();
                written
            }
            Defect::KeepsRefusedFacts => {
                let facts = batch.numbered_facts().collect::<Vec<_>>();
                let written = self.inner.commit(term, seq, batch).await;
                if matches!(written, Err(StoreError::Corrupt(_))) {
                    self.refused.lock().unwrap().extend(facts);
                }
                written
            }
            Defect::RefusesRepetition if seq == self.inner.seq() => {
                Err(StoreError::Corrupt("it is there already".into()))
            }
            Defect::AppliesTwice if seq == self.inner.seq() => {
                let mut batch = (*batch).clone();
                batch.first_fact.0 += batch.facts.len() as u64;
                let batch = Arc::new(batch);
                self.inner.commit(term, seq.next(), batch).await
            }
            Defect::AcceptsOldOnes if seq < self.inner.seq() => Ok(()),
            Defect::SkipsEmptyOnes => {
                if batch.facts.is_empty() && batch.changes.is_empty() {
                    self.skipped.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                let counted = Seq(seq.0 - self.skipped.load(Ordering::SeqCst));
                self.inner.commit(term, counted, batch).await
            }
            Defect::IgnoresTerms => self.write_anyway(term, seq, batch).await,
            Defect::ChecksTermsFirst if self.shared.term.load(Ordering::SeqCst) == term.0 => {
                tokio::task::yield_now().await;
                self.write_anyway(term, seq, batch).await
            }
            _ => self.inner.commit(term, seq, batch).await,
        }
    }
}

#[async_trait]
impl History for Broken {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let mut found = self.inner.get(keys).await?;
        let half = self.half.lock().unwrap();
        for (key, record) in keys.iter().zip(&mut found) {
            if let Some(shown) = half.get(key) {
                *record = Some(shown.clone());
            }
            if let (Defect::LosesPasswords, Some(Record::Agent(agent))) = (self.defect, record) {
                agent.passwords.clear();
            }
        }
        Ok(found)
    }

    async fn finished(
        &self,
        filter: &FinishedFilter,
        after: Option<BuildId>,
        limit: usize,
    ) -> Result<Page<FinishedBuild>, StoreError> {
        self.inner.finished(filter, after, limit).await
    }

    async fn items(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<ItemRecord>, StoreError> {
        self.inner.items(after, limit).await
    }

    async fn derivations(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<DerivationRecord>, StoreError> {
        self.inner.derivations(after, limit).await
    }

    async fn facts(
        &self,
        after: FactNumber,
        limit: usize,
    ) -> Result<Page<NumberedFact>, StoreError> {
        let mut page = self.inner.facts(after, limit).await?;
        page.entries.retain(|fact| fact.number.0 <= self.end);
        page.entries.extend(self.refused.lock().unwrap().clone());
        match self.defect {
            Defect::ReordersFacts => page.entries.reverse(),
            Defect::HidesFacts if self.claims.load(Ordering::SeqCst) == 0 => page.entries.clear(),
            _ => {}
        }
        Ok(page)
    }

    async fn count_finished(&self) -> Result<Vec<(BuildState, u64)>, StoreError> {
        let mut counts = self.inner.count_finished().await?;
        for (_, count) in &mut counts {
            match self.defect {
                // As if one of each state had been removed and was counted still.
                Defect::NeverCountsDown => *count += 1,
                Defect::CountsDownForNothing => {
                    *count = count.wrapping_sub(self.misses.load(Ordering::SeqCst));
                }
                _ => {}
            }
        }
        Ok(counts)
    }
}

crate::found! {
    datastore, Bench::new;
    none: None => [];
    what_is_written_later: WritesLater => [
        a_commit_is_durable,
        exclusive_is_refused_while_another_holds_it,
        a_lower_term_writes_nothing,
        a_fenced_commit_is_there_or_never_comes,
        a_refused_commit_writes_nothing,
        gaps_are_refused,
        an_empty_batch_is_a_commit,
        load_gives_what_lives,
        load_gives_each_record_once,
        load_is_of_one_moment,
        every_reader_sees_what_was_acknowledged,
    ];
    facts_that_are_not_durable: ForgetsFacts => [a_commit_is_durable];
    half_a_commit: ShowsHalves => [a_commit_is_read_as_a_whole];
    half_a_refusal: KeepsRefusedFacts => [a_refused_commit_writes_nothing];
    a_refused_repetition: RefusesRepetition => [
        repeating_is_one_commit,
        a_lower_term_writes_nothing,
    ];
    a_commit_that_is_applied_twice: AppliesTwice => [repeating_is_one_commit, gaps_are_refused];
    a_number_that_was_there: AcceptsOldOnes => [gaps_are_refused];
    an_empty_commit_that_is_skipped: SkipsEmptyOnes => [an_empty_batch_is_a_commit];
    a_term_that_comes_again: ForgetsTerms => [terms_grow];
    an_ignored_term: IgnoresTerms => [
        a_lower_term_writes_nothing,
        a_fenced_commit_is_there_or_never_comes,
    ];
    a_term_that_is_looked_at_too_early: ChecksTermsFirst => [
        a_fenced_commit_is_there_or_never_comes,
    ];
    an_ignored_holder: IgnoresHolders => [exclusive_is_refused_while_another_holds_it];
    a_store_that_is_not_empty: HasAnAgent => [a_new_store_is_empty];
    records_that_come_twice: LoadsTwice => [
        load_gives_each_record_once,
        a_lower_term_writes_nothing,
        gaps_are_refused,
        load_gives_what_lives,
        load_is_of_one_moment,
    ];
    a_derivation_for_each_build: LoadsForEachBuild => [load_gives_each_record_once];
    records_that_do_not_come: LoadsTooLittle => [
        load_gives_what_lives,
        load_gives_each_record_once,
        load_is_of_one_moment,
    ];
    chunks_of_many_moments: LoadsAsItGoes => [load_is_of_one_moment];
    a_lost_field: LosesPasswords => [a_commit_is_durable];
    facts_in_another_order: ReordersFacts => [a_commit_is_durable, repeating_is_one_commit];
    a_count_that_never_falls: NeverCountsDown => [
        removing_nothing_does_nothing,
        a_new_store_is_empty,
        a_commit_is_durable,
        a_refused_commit_writes_nothing,
        repeating_is_one_commit,
        every_reader_sees_what_was_acknowledged,
    ];
    a_count_that_falls_too_often: CountsDownForNothing => [removing_nothing_does_nothing];
    facts_that_readers_do_not_see: HidesFacts => [every_reader_sees_what_was_acknowledged];
}
