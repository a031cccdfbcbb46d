//! What the coordinator does not have, from substitute servers: which items that takes.

use std::collections::{BTreeSet, HashMap, HashSet};

use grange_derivation::{StorePath, graph};
use grange_interfaces::{ItemInfo, Upstream};
use tracing::info;

use super::inputs::{circle, failed};
use super::{Problem, SetupFailure, StepError};
use crate::fetch::Wanted;
use crate::shared::Shared;

/// How many items are gathered at most: closures have some thousands.
const MOST: usize = 200_000;

/// What makes items whole that the coordinator does not have.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// What has to be fetched.
    pub(crate) fetch: Vec<Wanted>,
    /// What is in the agent's store already.
    pub(crate) local: Vec<ItemInfo>,
}

/// Looks for these items, and for all that they refer to but what is known. Neither the agent's store nor the
/// coordinator has them.
///
/// What nobody has, or has not with all its references, is a setup failure.
pub(crate) async fn gather(
    shared: &Shared,
    roots: Vec<StorePath>,
    known: &HashSet<StorePath>,
) -> Result<Gathered, StepError> {
    let Some(upstream) = (!roots.is_empty())
        .then_some(shared.upstream.as_deref())
        .flatten()
    else {
        return missing(&roots, None).map(|()| Gathered::default());
    };
    let mut search = Search::default();
    let rest = search.ask_upstream(upstream, roots.clone()).await;
    search.nobody.extend(rest);
    loop {
        let next = search.unknown(known);
        if next.is_empty() {
            break;
        }
        if search.found.len() > MOST {
            let message = format!("what substitute servers have refers to more than {MOST} items");
            return Err(StepError::setup(Problem::Other, message));
        }
        let next = search.ask_store(shared, next).await?;
        let next = search.ask_upstream(upstream, next).await;
        search.ask_coordinator(shared, next).await?;
    }
    let lost = search.lost(roots)?;
    missing(&lost, search.why.as_deref())?;
    if !search.found.is_empty() {
        info!(
            items = search.found.len(),
            "inputs come from substitute servers"
        );
    }
    Ok(Gathered {
        fetch: search.found.into_values().collect(),
        local: search.local.into_values().collect(),
    })
}

/// A setup failure, if anything is missing.
fn missing(paths: &[StorePath], why: Option<&str>) -> Result<(), StepError> {
    if paths.is_empty() {
        return Ok(());
    }
    let mut failure = SetupFailure::missing(paths.iter().map(ToString::to_string).collect());
    if let Some(why) = why {
        failure.message = format!("{}; {why}", failure.message);
    }
    Err(StepError::Setup(failure))
}

#[derive(Debug, Default)]
struct Search {
    found: HashMap<StorePath, Wanted>,
    /// What was found since the last look refers to.
    referred: BTreeSet<StorePath>,
    local: HashMap<StorePath, ItemInfo>,
    nobody: HashSet<StorePath>,
    /// Why a server could not say whether it has something.
    why: Option<String>,
}

impl Search {
    /// What is referred to and not looked for yet.
    fn unknown(&mut self, known: &HashSet<StorePath>) -> Vec<StorePath> {
        let mut unknown = std::mem::take(&mut self.referred);
        unknown.retain(|path| {
            let seen = known.contains(path) || self.nobody.contains(path);
            !seen && !self.found.contains_key(path) && !self.local.contains_key(path)
        });
        unknown.into_iter().collect()
    }

    fn add(&mut self, item: Wanted) {
        let references = item.info.references.iter().cloned();
        self.referred.extend(references);
        self.found.insert(item.info.path.clone(), item);
    }

    /// Those of these that the agent's store lacks.
    async fn ask_store(
        &mut self,
        shared: &Shared,
        paths: Vec<StorePath>,
    ) -> Result<Vec<StorePath>, StepError> {
        let found = shared
            .store
            .query(&paths)
            .await
            .map_err(|error| failed(&error))?;
        let mut rest = Vec::new();
        for (path, info) in paths.into_iter().zip(found) {
            match info {
                Some(info) => drop(self.local.insert(path, info)),
                None => rest.push(path),
            }
        }
        Ok(rest)
    }

    /// Those of these that no substitute server has.
    async fn ask_upstream(
        &mut self,
        upstream: &dyn Upstream,
        paths: Vec<StorePath>,
    ) -> Vec<StorePath> {
        let found = upstream.find(&paths).await;
        let mut rest = Vec::new();
        for (path, found) in paths.into_iter().zip(found) {
            match found {
                Ok(Some(info)) => self.add(Wanted::of_upstream(info)),
                Ok(None) => rest.push(path),
                Err(error) => {
                    self.why.get_or_insert_with(|| error.to_string());
                    rest.push(path);
                }
            }
        }
        rest
    }

    /// The coordinator may have what it was not asked for so far.
    async fn ask_coordinator(
        &mut self,
        shared: &Shared,
        paths: Vec<StorePath>,
    ) -> Result<(), StepError> {
        if paths.is_empty() {
            return Ok(());
        }
        let store = shared.store.store_dir();
        for view in shared.coordinator.items(&paths).await? {
            let item = Wanted::read(store, &view).map_err(|error| {
                let message = format!("the coordinator offers a bad input: {error}");
                StepError::setup(Problem::Other, message)
            })?;
            let path = &item.info.path;
            if !self.local.contains_key(path) && !self.found.contains_key(path) {
                self.add(item);
            }
        }
        let found = &self.found;
        self.nobody
            .extend(paths.into_iter().filter(|path| !found.contains_key(path)));
        Ok(())
    }

    /// Those of these that nobody has, or that refer to such a thing, directly or not.
    fn lost(&self, roots: Vec<StorePath>) -> Result<Vec<StorePath>, StepError> {
        let references = |path: &StorePath| Some(self.found.get(path)?.info.references.clone());
        let lacks = |path: &StorePath| self.nobody.contains(path);
        let whole = graph::whole(roots.iter().cloned(), references, lacks);
        let whole: HashSet<_> = whole.map_err(|error| circle(&error))?.into_iter().collect();
        let lost = roots.into_iter().filter(|path| !whole.contains(path));
        Ok(lost.collect())
    }
}
