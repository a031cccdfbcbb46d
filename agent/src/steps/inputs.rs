//! Which inputs a build sees, and which of them have to be fetched.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use grange_derivation::graph::{self, GraphError};
use grange_derivation::{Derivation, StorePath};
use grange_interfaces::message::JobAnswer;
use grange_interfaces::{ItemInfo, LocalStore, LocalStoreError};

use super::upstream::gather;
use super::{Problem, StepError};
use crate::fetch::Wanted;
use crate::shared::Shared;

/// The inputs of a build.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// All of them, references first.
    pub(crate) all: Vec<StorePath>,
    /// Those that are not in the agent's store, references first.
    pub(crate) fetch: Vec<Wanted>,
}

/// What the coordinator offers and what it says that it lacks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    wanted: Vec<Wanted>,
    /// What has to be in the agent's store or to come from elsewhere, since the coordinator does not have it.
    lacking: Vec<StorePath>,
}

impl Offered {
    pub(crate) fn read(derivation: &Derivation, answer: &JobAnswer) -> Result<Self, StepError> {
        let bad = |error: String| {
            StepError::setup(
                Problem::Other,
                format!("the coordinator offers a bad input: {error}"),
            )
        };
        let store = &derivation.store;
        let mut known = HashSet::new();
        let mut wanted = Vec::with_capacity(answer.inputs.len());
        for view in &answer.inputs {
            let item = Wanted::read(store, view).map_err(bad)?;
            if known.insert(item.info.path.clone()) {
                wanted.push(item);
            }
        }
        let mut lacking = Vec::new();
        for text in &answer.missing {
            lacking.push(StorePath::parse(store, text).map_err(|error| bad(error.to_string()))?);
        }
        lacking.extend(derivation.input_sources.iter().cloned());
        lacking.retain(|path| known.insert(path.clone()));
        Ok(Self { wanted, lacking })
    }

    /// All paths that are spoken of.
    pub(crate) fn paths(&self) -> Vec<StorePath> {
        let offered = self.wanted.iter().map(|item| item.info.path.clone());
        offered.chain(self.lacking.iter().cloned()).collect()
    }

    /// Looks up what is in the agent's store, and what else can be had from substitute servers.
    pub(crate) async fn resolve(self, shared: &Shared) -> Result<Inputs, StepError> {
        let store = &*shared.store;
        let paths = self.paths();
        let found = store.query(&paths).await.map_err(|error| failed(&error))?;
        let (offered, lacking) = found.split_at(self.wanted.len().min(found.len()));
        let mut missing = Vec::new();
        let mut local = Vec::new();
        for (path, info) in self.lacking.iter().zip(lacking) {
            match info {
                Some(info) => local.push(info.clone()),
                None => missing.push(path.clone()),
            }
        }
        let known: HashSet<StorePath> = self
            .wanted
            .iter()
            .map(|item| item.info.path.clone())
            .collect();
        let elsewhere = gather(shared, missing, &known).await?;
        local.extend(elsewhere.local);
        // What is only here refers to what is here, but may also be referred to by what is offered.
        let mut all = closure(store, local, &known).await?;
        let fetch: HashSet<StorePath> = self
            .wanted
            .iter()
            .zip(offered)
            .filter(|(_, info)| info.is_none())
            .map(|(item, _)| item.info.path.clone())
            .chain(elsewhere.fetch.iter().map(|item| item.info.path.clone()))
            .collect();
        let mut wanted = self.wanted;
        if !elsewhere.fetch.is_empty() {
            wanted.extend(elsewhere.fetch);
            wanted = sorted(wanted)?;
        }
        all.extend(wanted.iter().map(|item| item.info.path.clone()));
        wanted.retain(|item| fetch.contains(&item.info.path));
        Ok(Inputs { all, fetch: wanted })
    }
}

/// The same items, references first.
pub(crate) fn sorted(items: Vec<Wanted>) -> Result<Vec<Wanted>, StepError> {
    let roots: Vec<_> = items.iter().map(|item| item.info.path.clone()).collect();
    let mut items: HashMap<_, _> = items
        .into_iter()
        .map(|item| (item.info.path.clone(), item))
        .collect();
    let references = |path: &StorePath| Some(items.get(path)?.info.references.clone());
    let order = graph::references_first(roots, references).map_err(|error| circle(&error))?;
    Ok(order.iter().filter_map(|path| items.remove(path)).collect())
}

/// These items and all that they refer to, references first, without what is known.
async fn closure(
    store: &dyn LocalStore,
    roots: Vec<ItemInfo>,
    known: &HashSet<StorePath>,
) -> Result<Vec<StorePath>, StepError> {
    let mut infos: HashMap<StorePath, ItemInfo> = HashMap::new();
    let mut order: Vec<StorePath> = roots.iter().map(|info| info.path.clone()).collect();
    let mut next = roots;
    while !next.is_empty() {
        let mut ask = Vec::new();
        for info in next {
            for reference in &info.references {
                let new = !known.contains(reference) && !infos.contains_key(reference);
                if new && *reference != info.path && !ask.contains(reference) {
                    ask.push(reference.clone());
                }
            }
            infos.insert(info.path.clone(), info);
        }
        ask.retain(|path| !infos.contains_key(path));
        let found = store.query(&ask).await.map_err(|error| failed(&error))?;
        next = found.into_iter().flatten().collect();
        order.extend(next.iter().map(|info| info.path.clone()));
    }
    let references = |path: &StorePath| Some(infos.get(path)?.references.clone());
    graph::references_first(order, references).map_err(|error| circle(&error))
}

/// Items that refer to each other cannot be: no store would have them.
pub(crate) fn circle(error: &GraphError<StorePath, Infallible>) -> StepError {
    StepError::setup(Problem::Other, format!("inputs cannot be: {error}"))
}

pub(crate) fn failed(error: &LocalStoreError) -> StepError {
    StepError::setup(
        Problem::Other,
        format!("the agent's store cannot be asked: {error}"),
    )
}
