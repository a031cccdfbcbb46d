//! Each of these breaks one sentence of the contract, and the case for that sentence fails.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
use grange_testing::conformance::{DatastoreBench, datastore, run};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing: no case fails.
    None,
    /// Acknowledges a commit that is written with the next one.
    WritesLater,
    /// Takes a repeated commit for another one.
    RefusesRepetition,
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
    /// Looks at the first tag of a filter alone.
    ForgetsTags,
    /// Says that there is more where there is not.
    PromisesFacts,
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
        self.inner.get(&keys).await
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

/// Whether the case fails on a store with this defect, and does not without.
fn finds<F: Future<Output = ()>>(defect: Defect, case: impl Fn(&'static Bench) -> F) -> bool {
    let fails = |defect| {
        // Cases borrow their bench; a test may leak one.
        let bench = Box::leak(Box::new(Bench(MemoryDatastore::new(), defect)));
        catch_unwind(AssertUnwindSafe(|| run(case(bench)))).is_err()
    };
    assert!(
        !fails(Defect::None),
        "the case fails on a store without a defect"
    );
    fails(defect)
}

#[test]
fn what_is_written_later_is_found() {
    assert!(finds(Defect::WritesLater, datastore::a_commit_is_durable));
    assert!(finds(Defect::WritesLater, |bench| {
        datastore::every_reader_sees_what_was_acknowledged(bench)
    }));
}

#[test]
fn a_refused_repetition_is_found() {
    assert!(finds(
        Defect::RefusesRepetition,
        datastore::repeating_is_one_commit
    ));
}

#[test]
fn an_ignored_term_is_found() {
    assert!(finds(
        Defect::IgnoresTerms,
        datastore::a_lower_term_writes_nothing
    ));
}

#[test]
fn an_ignored_holder_is_found() {
    assert!(finds(Defect::IgnoresHolders, |bench| {
        datastore::exclusive_is_refused_while_another_holds_it(bench)
    }));
}

#[test]
fn records_that_come_twice_are_found() {
    assert!(finds(
        Defect::LoadsTwice,
        datastore::load_gives_each_record_once
    ));
}

#[test]
fn records_that_do_not_come_are_found() {
    assert!(finds(
        Defect::LoadsTooLittle,
        datastore::load_gives_what_lives
    ));
}

#[test]
fn another_order_is_found() {
    assert!(finds(
        Defect::SortsKeys,
        datastore::get_keeps_the_order_of_keys
    ));
}

#[test]
fn a_forgotten_filter_is_found() {
    assert!(finds(Defect::ForgetsTags, datastore::every_filter_filters));
}

#[test]
fn a_wrong_promise_is_found() {
    assert!(finds(
        Defect::PromisesFacts,
        datastore::facts_come_in_order_and_pages
    ));
}

#[test]
fn a_wrong_count_is_found() {
    assert!(finds(
        Defect::NeverCountsDown,
        datastore::counts_follow_changes
    ));
}

#[test]
fn a_wrong_beginning_is_found() {
    assert!(finds(Defect::BeginsAtAfter, |bench| {
        datastore::finished_comes_in_order_and_pages(bench)
    }));
}

#[test]
fn forgotten_items_are_found() {
    assert!(finds(
        Defect::ForgetsItems,
        datastore::items_come_in_order_and_pages
    ));
}

#[test]
fn skipped_derivations_are_found() {
    assert!(finds(
        Defect::SkipsDerivations,
        datastore::derivations_come_in_order_and_pages
    ));
}
