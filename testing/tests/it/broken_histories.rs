//! Each of these breaks one sentence of the contract, and the case for that sentence fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use grange_interfaces::{Claim, Datastore, FinishedFilter, History, Page, StoreError};
use grange_model::{
    Batch, BuildId, BuildState, Change, DerivationRecord, Digest, FactNumber, FinishedBuild,
    ItemRecord, Key, NumberedFact, Record,
};
use grange_testing::MemoryDatastore;
use grange_testing::conformance::HistoryBench;

/// What is wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing: no case fails.
    None,
    /// Answers in an order of its own.
    SortsKeys,
    /// Forgets the passwords of agents.
    LosesPasswords,
    /// Gives no more than a mebibyte of a text.
    CutsTexts,
    /// Does what a commit puts before what it removes.
    RemovesLast,
    /// Looks at the first tag of a filter alone.
    ForgetsTags,
    /// Finds builds also by the derivation that they had once.
    KeepsOldIndex,
    /// Gives the build that it should begin behind.
    BeginsAtAfter,
    /// Says that there is more where there is not.
    PromisesFacts,
    /// Gives the facts of a page from the last to the first.
    ReordersFacts,
    /// Leaves out the first derivation of each page but the first.
    SkipsDerivations,
    /// Says that no page of items has another behind it.
    ForgetsItems,
    /// Has nothing behind an item that is gone.
    NeedsItsPlace,
    /// Counts a build in each state in which it ever ended.
    CountsStates,
    /// Says of what was ever lost that it is.
    RemembersLosses,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryDatastore,
    defect: Defect,
    commits: Vec<Arc<Batch>>,
}

struct Bench(Defect);

impl HistoryBench for Bench {
    type History = Broken;

    async fn history(&self, commits: &[Arc<Batch>]) -> Arc<Broken> {
        let inner = MemoryDatastore::new();
        let mut claimed = inner.claim(Claim::Exclusive).await.unwrap();
        for batch in commits {
            let mut batch = Batch::clone(batch);
            if self.0 == Defect::RemovesLast {
                batch
                    .changes
                    .sort_by_key(|it| matches!(it, Change::Remove(_)));
            }
            claimed.seq = claimed.seq.next();
            let written = inner.commit(claimed.term, claimed.seq, Arc::new(batch));
            written.await.unwrap();
        }
        Arc::new(Broken {
            inner,
            defect: self.0,
            commits: commits.to_vec(),
        })
    }
}

impl Broken {
    /// All finished builds that were ever put, as they were then.
    fn ever_finished(&self) -> impl Iterator<Item = &FinishedBuild> {
        let changes = self.commits.iter().flat_map(|batch| &batch.changes);
        changes.filter_map(|change| match change {
            Change::Put(Record::Finished(build)) => Some(build),
            _ => None,
        })
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
        for record in found.iter_mut().flatten() {
            match (self.defect, record) {
                (Defect::LosesPasswords, Record::Agent(agent)) => agent.passwords.clear(),
                (Defect::CutsTexts, Record::DerivationText { text, .. }) => {
                    text.truncate(1 << 20);
                }
                _ => {}
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
        match (self.defect, after, filter.derivation) {
            (Defect::BeginsAtAfter, Some(after), _) => {
                let mut page = self.inner.finished(&filter, None, usize::MAX).await?;
                page.entries.retain(|build| build.build.spec.id >= after);
                page.entries.truncate(limit);
                Ok(Page {
                    more: behind.more,
                    ..page
                })
            }
            (Defect::KeepsOldIndex, after, Some(derivation)) => {
                filter.derivation = None;
                let specs = self.ever_finished().map(|build| &build.build.spec);
                let had = specs.filter(|spec| spec.derivation == derivation);
                let had: BTreeSet<_> = had.map(|spec| spec.id).collect();
                let mut page = self.inner.finished(&filter, after, usize::MAX).await?;
                page.entries
                    .retain(|build| had.contains(&build.build.spec.id));
                page.more = page.entries.len() > limit;
                page.entries.truncate(limit);
                Ok(page)
            }
            _ => Ok(behind),
        }
    }

    async fn are_lost(&self, outputs: &[Digest]) -> Result<Vec<bool>, StoreError> {
        if self.defect != Defect::RemembersLosses {
            return self.inner.are_lost(outputs).await;
        }
        let causes = self.ever_finished().flat_map(|build| &build.causes);
        let lost: BTreeSet<_> = causes.map(|cause| cause.output).collect();
        Ok(outputs.iter().map(|output| lost.contains(output)).collect())
    }

    async fn items(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Page<ItemRecord>, StoreError> {
        let mut page = self.inner.items(after, limit).await?;
        page.more &= self.defect != Defect::ForgetsItems;
        if let (Defect::NeedsItsPlace, Some(after)) = (self.defect, after)
            && self.inner.get(&[Key::Item(after)]).await? == [None]
        {
            page.entries.clear();
        }
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
        let mut counts = self.inner.count_finished().await?;
        if self.defect == Defect::CountsStates {
            let ends = self.ever_finished();
            let ends = ends.map(|build| (build.build.spec.id, build.state as u8));
            let ends: BTreeSet<_> = ends.collect();
            for (state, count) in &mut counts {
                let ended = ends.iter().filter(|(_, end)| *end == *state as u8);
                *count = ended.count() as u64;
            }
        }
        Ok(counts)
    }
}

crate::found! {
    history, |defect| Bench(defect);
    none: None => [];
    another_order: SortsKeys => [get_keeps_the_order_of_keys];
    a_lost_field: LosesPasswords => [get_gives_what_was_put, later_changes_count];
    a_cut_text: CutsTexts => [get_gives_what_was_put];
    removals_that_come_last: RemovesLast => [later_changes_count];
    a_forgotten_filter: ForgetsTags => [every_filter_filters];
    an_index_that_was_not_changed: KeepsOldIndex => [finished_follows_changes];
    a_wrong_beginning: BeginsAtAfter => [
        finished_comes_in_order_and_pages,
        every_filter_filters,
    ];
    a_wrong_promise: PromisesFacts => [facts_come_in_order_and_pages];
    facts_in_another_order: ReordersFacts => [facts_come_in_order_and_pages];
    skipped_derivations: SkipsDerivations => [derivations_come_in_order_and_pages];
    forgotten_items: ForgetsItems => [items_come_in_order_and_pages, items_follow_changes];
    a_place_that_is_gone: NeedsItsPlace => [items_follow_changes];
    a_count_that_only_grows: CountsStates => [counts_follow_changes];
    a_loss_that_is_remembered: RemembersLosses => [lost_outputs_follow_changes];
}
