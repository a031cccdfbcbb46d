//! Clients look at builds: unfinished ones in the core, finished ones in the history.

use std::collections::BTreeMap;

use grange_coordinator_core::BuildStatus;
use grange_interfaces::message::{
    Answer, BuildFilter, BuildSummary, BuildView, Counts, OutputView,
};
use grange_interfaces::{Fault, FinishedFilter, Refusal};
use grange_model::{
    BuildId, BuildState, BuiltOutput, DerivationRecord, Digest, FinishedBuild, Key, Record,
};

use super::dispatch::{Answered, CoordinatorEndpoint};
use super::{history, views};
use crate::available::available;
use crate::convert::{hex, path_text, store_refusal};

/// How many builds one answer has.
const MAX_BUILDS: u32 = 1_000;

impl CoordinatorEndpoint {
    pub(super) async fn build(&self, id: BuildId) -> Answered {
        let live = self
            .handle
            .observe(move |core| {
                let build = core.build(id)?;
                let predicted = core.predict(&build.record.derivation.name, &build.system);
                Some((build, core.why(id), predicted))
            })
            .await?;
        let view = match live {
            Some((build, why, predicted)) => {
                let record = self.node(build.record.spec.derivation).await?;
                let predicted = history::prediction(&predicted);
                views::live(build, &why, predicted, self.outputs(&record, &[]).await?)
            }
            None => self.finished_view(id).await?,
        };
        Ok((Answer::Build(Box::new(view)), None))
    }

    async fn finished_view(&self, id: BuildId) -> Result<BuildView, Refusal> {
        let finished = self.finished(id).await?;
        let record = self.node(finished.build.spec.derivation).await?;
        let outputs = self.outputs(&record, &finished.outputs).await?;
        Ok(views::finished(finished, &record.store, outputs))
    }

    /// A build that is not among the unfinished ones.
    ///
    /// Counter-example for asking the history once: the core has just ended the build, and the
    /// commit that says so is under way; whoever follows the build would be told that there is none.
    pub(super) async fn finished(&self, id: BuildId) -> Result<FinishedBuild, Refusal> {
        for settle in [true, false] {
            let found = self
                .shared
                .datastore
                .get(&[Key::Finished(id)])
                .await
                .map_err(store_refusal)?;
            if let Some(Some(Record::Finished(finished))) = found.into_iter().next() {
                return Ok(finished);
            }
            if settle {
                self.handle.settled().await?;
            }
        }
        Err(Refusal::new(
            Fault::NotFound,
            format!("there is no build {id}"),
        ))
    }

    async fn node(&self, derivation: Digest) -> Result<DerivationRecord, Refusal> {
        let found = self
            .shared
            .datastore
            .get(&[Key::Derivation(derivation)])
            .await
            .map_err(store_refusal)?;
        match found.into_iter().next() {
            Some(Some(Record::Derivation(record))) => Ok(record),
            _ => Err(Refusal::new(Fault::Us, "a build's derivation is not there")),
        }
    }

    async fn outputs(
        &self,
        record: &DerivationRecord,
        built: &[BuiltOutput],
    ) -> Result<Vec<OutputView>, Refusal> {
        let digests: Vec<_> = record
            .outputs
            .iter()
            .map(|output| output.item.digest)
            .collect();
        let found = available(&self.shared, &digests).await?;
        let views = record.outputs.iter().zip(found).map(|(output, item)| {
            let built = built.iter().find(|built| built.name == output.name);
            OutputView {
                name: output.name.clone(),
                path: path_text(&record.store, &output.item),
                available: item.is_some(),
                nar_hash: built.map(|built| hex(&built.nar_hash.0)),
                canonical: built.map(|built| built.canonical),
            }
        });
        Ok(views.collect())
    }

    pub(super) async fn builds(
        &self,
        filter: BuildFilter,
        after: Option<BuildId>,
        limit: u32,
    ) -> Answered {
        let limit = limit.clamp(1, MAX_BUILDS) as usize;
        let mut all: BTreeMap<BuildId, BuildSummary> = BTreeMap::new();
        if filter.state.is_none_or(|state| !state.is_final()) {
            let filter = filter.clone();
            let live = self.handle.observe(move |core| {
                let fits = |build: &BuildStatus| fits(&filter, build);
                core.builds(after)
                    .filter(fits)
                    .take(limit + 1)
                    .map(views::summary)
                    .collect::<Vec<_>>()
            });
            all.extend(live.await?.into_iter().map(|build| (build.id, build)));
            // What has just ended shall be in one of the two.
            self.handle.settled().await?;
        }
        let mut more = false;
        if filter.state.is_none_or(BuildState::is_final) {
            let wanted = FinishedFilter {
                state: filter.state,
                tags: filter.tags.into_iter().collect(),
                system: filter.system,
                ..FinishedFilter::default()
            };
            let page = self
                .shared
                .datastore
                .finished(&wanted, after, limit)
                .await
                .map_err(store_refusal)?;
            more = page.more;
            let last = page.entries.last().map(|build| build.build.spec.id);
            let stores = self
                .stores(page.entries.iter().map(|build| build.build.spec.derivation))
                .await?;
            for build in &page.entries {
                let store = stores
                    .get(&build.build.spec.derivation)
                    .map_or("", String::as_str);
                let summary = views::finished_summary(build, store);
                // A build that ended while this was read is shown as it ended.
                all.insert(summary.id, summary);
            }
            if let (true, Some(last)) = (more, last) {
                all.retain(|id, _| *id <= last);
            }
        }
        more |= all.len() > limit;
        let builds = all.into_values().take(limit).collect();
        Ok((Answer::Builds { builds, more }, None))
    }

    async fn stores(
        &self,
        derivations: impl Iterator<Item = Digest>,
    ) -> Result<BTreeMap<Digest, String>, Refusal> {
        let derivations: std::collections::BTreeSet<_> = derivations.collect();
        let keys: Vec<_> = derivations
            .iter()
            .map(|digest| Key::Derivation(*digest))
            .collect();
        let found = self
            .shared
            .datastore
            .get(&keys)
            .await
            .map_err(store_refusal)?;
        let stores =
            derivations
                .into_iter()
                .zip(found)
                .filter_map(|(digest, record)| match record {
                    Some(Record::Derivation(record)) => Some((digest, record.store)),
                    _ => None,
                });
        Ok(stores.collect())
    }

    pub(super) async fn counts(&self) -> Answered {
        let finished = self
            .shared
            .datastore
            .count_finished()
            .await
            .map_err(store_refusal)?;
        let look = |core: &grange_coordinator_core::Core| {
            let present = core.agents().filter(|agent| agent.present).count();
            (core.counts(), present, core.agents().count())
        };
        let (live, present, agents) = self.handle.observe(look).await?;
        let mut builds: BTreeMap<_, _> = BuildState::ALL
            .iter()
            .map(|state| (state.as_str().to_owned(), 0))
            .collect();
        let live = [
            (BuildState::Blocked, live.blocked),
            (BuildState::Ready, live.ready),
            (BuildState::Running, live.running),
        ];
        for (state, count) in live.into_iter().chain(finished) {
            builds.insert(state.as_str().to_owned(), count);
        }
        let counts = Counts {
            builds,
            agents_present: present as u64,
            agents: agents as u64,
        };
        Ok((Answer::Counts(counts), None))
    }
}

fn fits(filter: &BuildFilter, build: &BuildStatus) -> bool {
    let tags = &build.record.spec.tags;
    filter.state.is_none_or(|state| state == build.state)
        && filter
            .system
            .as_ref()
            .is_none_or(|system| *system == build.system)
        && filter
            .tags
            .iter()
            .all(|(key, value)| tags.get(key) == Some(value))
}
