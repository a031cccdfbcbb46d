//! The hook that every farm has: what failed for want of an input goes on when the input comes.

use async_trait::async_trait;
use grange_interfaces::{Delivery, FinishedFilter, History, Hook, HookError, Request};
use grange_model::{BuildState, Fact, NumberedFact};

/// How many builds are reopened by one commit.
const PAGE: usize = 500;

/// Reopens builds that ended as failed-dependency when the lost output becomes available after all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reopen;

#[async_trait]
impl Hook for Reopen {
    fn name(&self) -> &str {
        "reopen"
    }

    /// Most outputs nobody has ever lacked. A build that was lost before its input came is in the history by now: the fact that
    /// the input is available is behind the one that the build has ended.
    async fn wants(
        &self,
        facts: &[NumberedFact],
        history: &dyn History,
    ) -> Result<Vec<bool>, HookError> {
        let available = |fact: &NumberedFact| match fact.fact {
            Fact::Available { output } => Some(output),
            _ => None,
        };
        let outputs: Vec<_> = facts.iter().filter_map(available).collect();
        let lost = history.are_lost(&outputs).await;
        let lost = lost.map_err(|error| HookError::Retry(error.to_string()))?;
        let mut lost = lost.into_iter();
        let wanted = |fact| available(fact).is_some() && lost.next().unwrap_or(true);
        Ok(facts.iter().map(wanted).collect())
    }

    async fn deliver(
        &self,
        delivery: &Delivery,
        history: &dyn History,
    ) -> Result<Vec<Request>, HookError> {
        let Fact::Available { output } = &delivery.fact.fact else {
            return Ok(Vec::new());
        };
        let filter = FinishedFilter {
            state: Some(BuildState::FailedDependency),
            lost_input: Some(*output),
            ..FinishedFilter::default()
        };
        let mut requests = Vec::new();
        let mut after = None;
        loop {
            let page = history.finished(&filter, after, PAGE).await;
            let page = page.map_err(|error| HookError::Retry(error.to_string()))?;
            after = page.entries.last().map(|build| build.build.spec.id);
            requests.extend(
                page.entries
                    .iter()
                    .map(|build| Request::Reopen(build.build.spec.id)),
            );
            if !page.more || after.is_none() {
                return Ok(requests);
            }
        }
    }
}
