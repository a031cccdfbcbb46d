//! Waiting for builds to end.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use grange_interfaces::Fault;
use grange_interfaces::message::FactView;
use grange_model::{BuildId, BuildState, FactNumber};

use super::{Client, ClientError};

/// How long the coordinator may wait for a fact, in milliseconds.
const WAIT_MS: u64 = 25_000;
/// How many builds are looked at at once.
const AT_ONCE: usize = 16;

impl Client {
    /// Waits for builds to end. [`Waiter::next`] does the waiting.
    #[must_use]
    pub fn waiter(&self, builds: impl IntoIterator<Item = BuildId>) -> Waiter {
        let states = builds.into_iter().map(|build| (build, None)).collect();
        Waiter {
            client: self.clone(),
            states,
            open: BTreeSet::new(),
            after: None,
        }
    }

    /// Waits until all of these have ended, and says how.
    ///
    /// # Errors
    ///
    /// There is no such build, or the coordinator was not reached for longer than the client is patient.
    pub async fn wait(
        &self,
        builds: impl IntoIterator<Item = BuildId>,
    ) -> Result<BTreeMap<BuildId, BuildState>, ClientError> {
        let mut waiter = self.waiter(builds);
        while waiter.next().await?.is_some() {}
        Ok(waiter.states())
    }
}

/// Follows the journal until builds have ended.
#[derive(Debug)]
pub struct Waiter {
    client: Client,
    states: BTreeMap<BuildId, Option<BuildState>>,
    /// Those that have not ended.
    open: BTreeSet<BuildId>,
    after: Option<FactNumber>,
}

impl Waiter {
    /// Begins at this place of the journal instead of where it ends now: facts from before the first look are
    /// given too.
    #[must_use]
    pub fn after(mut self, fact: FactNumber) -> Self {
        self.after = Some(fact);
        self.open = self.states.keys().copied().collect();
        self
    }

    /// Where each build stands, as far as it was looked at.
    #[must_use]
    pub fn states(&self) -> BTreeMap<BuildId, BuildState> {
        self.states
            .iter()
            .filter_map(|(build, state)| Some((*build, (*state)?)))
            .collect()
    }

    /// What happened next, anywhere in the farm: none once all builds have ended, nothing in particular (an empty
    /// list) now and then.
    ///
    /// # Errors
    ///
    /// There is no such build, or the coordinator was not reached for longer than the client is patient.
    pub async fn next(&mut self) -> Result<Option<Vec<FactView>>, ClientError> {
        let Some(after) = self.after else {
            // First the number, then the look: what happens between is told as a fact.
            let (_, last) = self.client.facts(None, 0).await?;
            self.look().await?;
            self.after = Some(last);
            return Ok(Some(Vec::new()));
        };
        if self.states.values().any(Option::is_none) {
            self.look().await?;
            return Ok(Some(Vec::new()));
        }
        if self.open.is_empty() {
            return Ok(None);
        }
        match self.client.facts(Some(after), WAIT_MS).await {
            Ok((facts, last)) => {
                self.after = Some(last);
                facts.iter().for_each(|fact| self.take(fact));
                Ok(Some(facts))
            }
            // The journal no longer reaches back so far: look at the builds instead.
            Err(ClientError::Refused(refusal))
                if matches!(refusal.fault, Fault::NotFound | Fault::Conflict) =>
            {
                self.after = None;
                Ok(Some(Vec::new()))
            }
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, fact: &FactView) {
        for build in &fact.builds {
            let Some(known) = self.states.get_mut(build) else {
                continue;
            };
            match (fact.what.as_str(), fact.state) {
                ("ended", Some(state)) => {
                    *known = Some(state);
                    self.open.remove(build);
                }
                ("reopened", _) => {
                    *known = Some(BuildState::Blocked);
                    self.open.insert(*build);
                }
                ("started", _) => *known = Some(BuildState::Running),
                _ => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), ClientError> {
        let client = &self.client;
        let look =
            |build: BuildId| async move { Ok((build, client.build(build).await?.summary.state)) };
        let states: Vec<(BuildId, BuildState)> =
            stream::iter(self.states.keys().copied().collect::<Vec<_>>())
                .map(look)
                .buffer_unordered(AT_ONCE)
                .try_collect::<Vec<_>>()
                .await
                .map_err(|error: ClientError| error)?;
        self.open = states
            .iter()
            .filter(|(_, state)| !state.is_final())
            .map(|(build, _)| *build)
            .collect();
        self.states = states
            .into_iter()
            .map(|(build, state)| (build, Some(state)))
            .collect();
        Ok(())
    }
}
