//! Each of these breaks one sentence of the contract, and the case for that sentence fails.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use grange_interfaces::{Claim, Claimed, Datastore, FinishedFilter, History, Page, StoreError};
use grange_model::{
    Batch, BuildId, BuildState, DerivationRecord, Digest, FactNumber, FinishedBuild, ItemRecord,
    Key, NumberedFact, Record, Seq, Term,
};
use grange_testing::MemoryDatastore;
use grange_testing::conformance::DatastoreBench;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing: no case fails.
    None,
    /// Acknowledges a commit that is written with the next one.
    WritesLater,
    /// Takes a repeated commit for another one.
    RefusesRepetition,
    /// Takes a repeated commit for a new one, and writes it once more.
    AppliesTwice,
    /// Writes for a coordinator that was fenced.
    IgnoresTerms,
    /// Lets anybody claim.
    IgnoresHolders,
    /// Loads the last record of each chunk twice.
    LoadsTwice,
    /// Loads no derivations.
    LoadsTooLittle,
    /// Answers in an order of its own.
    SortsKeys,
    /// Forgets the passwords of agents.
    LosesPasswords,
    /// Looks at the first tag of a filter alone.
    ForgetsTags,
    /// Says that there is more where there is not.
    PromisesFacts,
    /// Gives the facts of a page from the last to the first.
    ReordersFacts,
    /// Counts builds that are not there any more.
    NeverCountsDown,
    /// Gives the build that it should begin behind.
    BeginsAtAfter,
    /// Leaves out the first derivation of each page but the first.
    SkipsDerivations,
    /// Says that no page of items has another behind it.
    ForgetsItems,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryDatastore,
    defect: Defect,
    late: Mutex<Option<(Term, Seq, Arc<Batch>)>>,
}

struct Bench(MemoryDatastore, Defect);

impl DatastoreBench for Bench {
    type Store = Broken;

    async fn open(&self) -> Arc<Broken> {
        Arc::new(Broken {
            inner: self.0.another(),
            defect: self.1,
            late: Mutex::default(),
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
}

#[async_trait]
impl Datastore for Broken {
    async fn claim(&self, how: Claim) -> Result<Claimed, StoreError> {
        let how = if self.defect == Defect::IgnoresHolders {
            Claim::Force
        } else {
            how
        };
        self.inner.claim(how).await
    }

    fn load(&self, term: Term) -> BoxStream<'_, Result<Vec<Record>, StoreError>> {
        let change = |mut chunk: Vec<Record>| {
            match self.defect {
                Defect::LoadsTwice => chunk.extend(chunk.last().cloned()),
                Defect::LoadsTooLittle => {
                    chunk.retain(|record| !matches!(record, Record::Derivation(_)));
                }
                _ => {}
            }
            chunk
        };
        self.inner
            .load(term)
            .map(move |chunk| chunk.map(change))
            .boxed()
    }

    async fn commit(&self, term: Term, seq: Seq, batch: Arc<Batch>) -> Result<(), StoreError> {
        match self.defect {
            Defect::WritesLater => {
                self.write_late().await?;
                *self.late.lock().unwrap() = Some((term, seq, batch));
                Ok(())
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
            Defect::IgnoresTerms => match self.inner.commit(term, seq, Arc::clone(&batch)).await {
                Err(StoreError::Fenced { holder, .. }) => {
                    self.inner
                        .commit(holder, self.inner.seq().next(), batch)
                        .await
                }
                done => done,
            },
            _ => self.inner.commit(term, seq, batch).await,
        }
    }
}

#[async_trait]
impl History for Broken {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let mut keys = keys.to_vec();
        if self.defect == Defect::SortsKeys {
            keys.sort();
        }
        let mut found = self.inner.get(&keys).await?;
        if self.defect == Defect::LosesPasswords {
            for record in &mut found {
                if let Some(Record::Agent(agent)) = record {
                    agent.passwords.clear();
                }
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
        let mut filter = filter.clone();
        if self.defect == Defect::ForgetsTags {
            filter.tags.truncate(1);
        }
        let behind = self.inner.finished(&filter, after, limit).await?;
        match (self.defect, after) {
            (Defect::BeginsAtAfter, Some(after)) => {
                let mut page = self.inner.finished(&filter, None, usize::MAX).await?;
                page.entries.retain(|build| build.build.spec.id >= after);
                page.entries.truncate(limit);
                Ok(Page {
                    more: behind.more,
                    ..page
                })
            }
            _ => Ok(behind),
        }
    }

    async fn items(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<ItemRecord>, StoreError> {
        let mut page = self.inner.items(after, limit).await?;
        page.more &= self.defect != Defect::ForgetsItems;
        Ok(page)
    }

    async fn derivations(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<DerivationRecord>, StoreError> {
        let mut page = self.inner.derivations(after, limit).await?;
        if self.defect == Defect::SkipsDerivations && after.is_some() && !page.entries.is_empty() {
            page.entries.remove(0);
        }
        Ok(page)
    }

    async fn facts(
        &self,
        after: FactNumber,
        limit: usize,
    ) -> Result<Page<NumberedFact>, StoreError> {
        let mut page = self.inner.facts(after, limit).await?;
        page.more |= self.defect == Defect::PromisesFacts && page.entries.len() == limit;
        if self.defect == Defect::ReordersFacts {
            page.entries.reverse();
        }
        Ok(page)
    }

    async fn count_finished(&self) -> Result<Vec<(BuildState, u64)>, StoreError> {
        let counts = self.inner.count_finished().await?;
        if self.defect != Defect::NeverCountsDown {
            return Ok(counts);
        }
        // As if one of each state had been removed and was counted still.
        Ok(counts
            .into_iter()
            .map(|(state, count)| (state, count + 1))
            .collect())
    }
}

crate::found! {
    datastore, |defect| Bench(MemoryDatastore::new(), defect);
    none: None => [];
    what_is_written_later: WritesLater => [
        exclusive_is_refused_while_another_holds_it,
        a_lower_term_writes_nothing,
        a_fenced_commit_is_there_or_never_comes,
        a_commit_is_durable,
        a_refused_commit_writes_nothing,
        gaps_are_refused,
        later_changes_count,
        an_empty_batch_is_a_commit,
        load_gives_what_lives,
        load_gives_each_record_once,
        load_is_of_one_moment,
        get_keeps_the_order_of_keys,
        get_gives_what_was_put,
        facts_come_in_order_and_pages,
        finished_comes_in_order_and_pages,
        every_filter_filters,
        finished_follows_changes,
        items_come_in_order_and_pages,
        items_follow_changes,
        derivations_come_in_order_and_pages,
        counts_follow_changes,
        every_reader_sees_what_was_acknowledged,
    ];
    a_refused_repetition: RefusesRepetition => [
        a_lower_term_writes_nothing,
        repeating_is_one_commit,
    ];
    a_commit_that_is_applied_twice: AppliesTwice => [repeating_is_one_commit, gaps_are_refused];
    an_ignored_term: IgnoresTerms => [
        a_lower_term_writes_nothing,
        a_fenced_commit_is_there_or_never_comes,
    ];
    an_ignored_holder: IgnoresHolders => [
        exclusive_is_refused_while_another_holds_it,
    ];
    records_that_come_twice: LoadsTwice => [
        a_lower_term_writes_nothing,
        gaps_are_refused,
        load_gives_what_lives,
        load_gives_each_record_once,
        load_is_of_one_moment,
    ];
    records_that_do_not_come: LoadsTooLittle => [
        load_gives_what_lives,
        load_gives_each_record_once,
        load_is_of_one_moment,
    ];
    another_order: SortsKeys => [get_keeps_the_order_of_keys];
    a_lost_field: LosesPasswords => [
        a_commit_is_durable,
        later_changes_count,
        get_gives_what_was_put,
    ];
    a_forgotten_filter: ForgetsTags => [every_filter_filters];
    a_wrong_promise: PromisesFacts => [facts_come_in_order_and_pages];
    facts_in_another_order: ReordersFacts => [
        a_commit_is_durable,
        repeating_is_one_commit,
        facts_come_in_order_and_pages,
    ];
    a_wrong_count: NeverCountsDown => [
        a_new_store_is_empty,
        a_refused_commit_writes_nothing,
        repeating_is_one_commit,
        removing_nothing_does_nothing,
        counts_follow_changes,
        every_reader_sees_what_was_acknowledged,
    ];
    a_wrong_beginning: BeginsAtAfter => [
        finished_comes_in_order_and_pages,
        every_filter_filters,
    ];
    forgotten_items: ForgetsItems => [
        items_come_in_order_and_pages,
        items_follow_changes,
    ];
    skipped_derivations: SkipsDerivations => [derivations_come_in_order_and_pages];
}
