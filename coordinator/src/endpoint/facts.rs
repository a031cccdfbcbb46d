//! Clients follow what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grange_interfaces::Refusal;
use grange_interfaces::message::{Answer, FactView};
use grange_model::{Fact, FactNumber, Key, NumberedFact, Record};

use super::dispatch::{Answered, CoordinatorEndpoint};
use crate::available;
use crate::convert::{path_text, store_refusal};

/// How many facts one answer has.
const MAX_FACTS: u32 = 10_000;
/// How long a question that had to wait waits for company of the fact that came.
const GATHER: Duration = Duration::from_millis(10);
/// How long one question waits.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(30);

impl CoordinatorEndpoint {
    pub(super) async fn facts(
        &self,
        after: Option<FactNumber>,
        wait_ms: u64,
        limit: u32,
    ) -> Answered {
        let mut newest = self.shared.facts();
        let Some(after) = after else {
            let last = *newest.borrow();
            return Ok((
                Answer::Facts {
                    facts: Vec::new(),
                    last,
                },
                None,
            ));
        };
        let wait = Duration::from_millis(wait_ms).min(MAX_WAIT);
        let has_any = *newest.borrow() > after;
        if !has_any {
            // No fact in time is an answer, too.
            let some = async {
                let came = newest.wait_for(|newest| *newest > after).await.is_ok();
                if came {
                    tokio::time::sleep(GATHER).await;
                }
            };
            let _ = tokio::time::timeout(wait, some).await;
        }
        let limit = limit.clamp(1, MAX_FACTS) as usize;
        let page = self
            .shared
            .datastore
            .facts(after, limit)
            .await
            .map_err(store_refusal)?;
        let last = page.entries.last().map_or(after, |fact| fact.number);
        let paths = self.paths(&page.entries).await?;
        let view = |fact: &NumberedFact| view(fact, &paths);
        let facts = page.entries.iter().map(view).collect();
        Ok((Answer::Facts { facts, last }, None))
    }

    /// The paths of all that these facts are about.
    async fn paths(&self, facts: &[NumberedFact]) -> Result<BTreeMap<Key, String>, Refusal> {
        let keys: BTreeSet<_> = facts.iter().filter_map(|fact| key(&fact.fact)).collect();
        let keys: Vec<_> = keys.into_iter().collect();
        let found = available::get(&*self.shared.datastore, &keys).await;
        let found = found.map_err(store_refusal)?;
        let path = |record: Record| match record {
            Record::Derivation(record) => Some(path_text(&record.store, &record.item)),
            Record::Item(record) => Some(path_text(&record.store, &record.item)),
            Record::Upstream(record) => Some(path_text(&record.store, &record.item)),
            _ => None,
        };
        let paths = keys.into_iter().zip(found);
        Ok(paths
            .filter_map(|(key, record)| Some((key, path(record?)?)))
            .collect())
    }
}

/// What a fact is about.
fn key(fact: &Fact) -> Option<Key> {
    match fact {
        Fact::Submitted { derivation, .. }
        | Fact::Started { derivation, .. }
        | Fact::SetupFailed { derivation, .. }
        | Fact::Expired { derivation, .. }
        | Fact::OutOfMemory { derivation, .. }
        | Fact::Preempted { derivation, .. }
        | Fact::Ended { derivation, .. }
        | Fact::Reopened { derivation, .. } => Some(Key::Derivation(*derivation)),
        Fact::Available { output } => Some(Key::Item(*output)),
        _ => None,
    }
}

fn view(numbered: &NumberedFact, paths: &BTreeMap<Key, String>) -> FactView {
    let mut view = FactView {
        number: numbered.number,
        at_ms: numbered.at.0,
        what: String::new(),
        builds: numbered.fact.build().into_iter().collect(),
        path: key(&numbered.fact).and_then(|key| paths.get(&key).cloned()),
        agent: None,
        state: None,
    };
    let what = match &numbered.fact {
        Fact::Submitted { .. } => "submitted",
        Fact::Started { agent, builds, .. } => {
            view.agent = Some(*agent);
            view.builds.clone_from(builds);
            "started"
        }
        Fact::SetupFailed { failure, .. } => {
            view.agent = Some(failure.agent);
            "setup-failed"
        }
        Fact::Expired { agent, .. } => {
            view.agent = Some(*agent);
            "expired"
        }
        Fact::Ended { state, .. } => {
            view.state = Some(*state);
            "ended"
        }
        Fact::Reopened { .. } => "reopened",
        Fact::Available { .. } => "available",
        Fact::Lost { .. } => "lost",
        Fact::Pruned { .. } => "pruned",
        Fact::GoneUpstream { .. } => "gone-upstream",
        Fact::OutOfMemory { agent, .. } => {
            view.agent = Some(*agent);
            "out-of-memory"
        }
        Fact::Preempted { agent, .. } => {
            view.agent = Some(*agent);
            "preempted"
        }
        Fact::AgentChanged { agent } => {
            view.agent = Some(*agent);
            "agent-changed"
        }
        _ => "other",
    };
    what.clone_into(&mut view.what);
    view
}
