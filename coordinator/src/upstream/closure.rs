//! Items upstream with all that they refer to.

use std::collections::{BTreeMap, BTreeSet};

use grange_coordinator_core::Input;
use grange_derivation::{StorePath, graph};
use grange_interfaces::{ItemInfo, Refusal};
use grange_model::{Key, Record, UpstreamRecord};

use super::patience::Patience;
use super::servers::Servers;
use crate::available;
use crate::convert::{digest, item, store_refusal};
use crate::handle::Handle;
use crate::shared::Shared;

/// How many records are committed together.
const GROUP: usize = 1_000;

/// As what derivations count that something refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Derivations {
    /// As items like others. What is upstream is there with all that it refers to, also if some of that lies here: it may
    /// be pruned here.
    AreItems,
    /// As derivations: they are there if the coordinator can build them. Their sources may lie here: those are not pruned.
    AreNodes,
}

impl Derivations {
    /// Which of these have to be asked for.
    pub(super) async fn absent(
        self,
        shared: &Shared,
        paths: Vec<StorePath>,
    ) -> Result<Vec<StorePath>, Refusal> {
        let key = |path: &StorePath| match self {
            Self::AreItems => Key::Upstream(digest(path)),
            Self::AreNodes if path.is_derivation() => Key::Derivation(digest(path)),
            Self::AreNodes => Key::Item(digest(path)),
        };
        let keys: Vec<_> = paths.iter().map(key).collect();
        let found = available::get(&*shared.datastore, &keys).await;
        let found = paths.into_iter().zip(found.map_err(store_refusal)?);
        let absent = found.filter(|(_, record)| record.is_none());
        Ok(absent.map(|(path, _)| path).collect())
    }
}

/// Those of `roots`, and of what they refer to and is not here, of which servers have all that they refer to.
/// References come before what refers to them.
pub(super) async fn closure(
    shared: &Shared,
    servers: Servers<'_>,
    derivations: Derivations,
    roots: Vec<ItemInfo>,
    patience: &Patience<'_>,
) -> Result<Vec<ItemInfo>, Refusal> {
    let by_path = |info: ItemInfo| (info.path.clone(), info);
    let mut infos: BTreeMap<_, _> = roots.into_iter().map(by_path).collect();
    let mut seen: BTreeSet<StorePath> = infos.keys().cloned().collect();
    let mut lacking = BTreeSet::new();
    let mut level: Vec<_> = infos.values().cloned().collect();
    while !level.is_empty() {
        let references = level.iter().flat_map(|info| &info.references);
        let fresh: BTreeSet<_> = references.filter(|it| seen.insert((*it).clone())).collect();
        let fresh = fresh.into_iter().cloned().collect();
        let asked = derivations.absent(shared, fresh).await?;
        if patience.is_over() {
            lacking.extend(asked);
            break;
        }
        level.clear();
        let found = servers.find(&asked).await;
        for (path, info) in asked.into_iter().zip(found) {
            match info {
                Some(info) => {
                    level.push(info.clone());
                    infos.insert(path, info);
                }
                None => {
                    lacking.insert(path);
                }
            }
        }
    }
    Ok(complete(infos, &lacking))
}

/// References first, without those that refer to something lacking, directly or not.
fn complete(
    mut infos: BTreeMap<StorePath, ItemInfo>,
    lacking: &BTreeSet<StorePath>,
) -> Vec<ItemInfo> {
    let references = |path: &StorePath| Some(infos.get(path)?.references.clone());
    let roots = infos.keys().cloned();
    match graph::whole(roots, references, |path| lacking.contains(path)) {
        Ok(order) => order.iter().filter_map(|path| infos.remove(path)).collect(),
        Err(error) => {
            tracing::warn!(%error, "what substitute servers say cannot be so, and is not taken");
            Vec::new()
        }
    }
}

/// Makes of these items available what servers have; gives those that are not here and not upstream either.
pub(crate) async fn record(
    shared: &Shared,
    handle: &Handle,
    paths: Vec<StorePath>,
) -> Result<Vec<StorePath>, Refusal> {
    let here = |path: &StorePath| Key::Item(digest(path));
    let keys: Vec<_> = paths.iter().map(here).collect();
    let found = available::get(&*shared.datastore, &keys).await;
    let found = paths.into_iter().zip(found.map_err(store_refusal)?);
    let mut asked: Vec<_> = found
        .filter(|(_, it)| it.is_none())
        .map(|(it, _)| it)
        .collect();
    let servers = shared.upstreams.all();
    if asked.is_empty() || servers.is_empty() {
        return Ok(asked);
    }
    let patience = Patience::new(shared);
    let roots = servers.find(&asked).await.into_iter().flatten().collect();
    let infos = closure(shared, servers, Derivations::AreItems, roots, &patience).await?;
    store(handle, &infos).await?;
    asked.retain(|path| infos.iter().all(|info| info.path != *path));
    Ok(asked)
}

/// Makes items available that are upstream.
pub(super) async fn store(handle: &Handle, infos: &[ItemInfo]) -> Result<(), Refusal> {
    for infos in infos.chunks(GROUP) {
        let records = infos.iter().map(record_of).map(Record::Upstream).collect();
        let input = move |ticket| Input::Store { ticket, records };
        handle.request(input).await?;
    }
    Ok(())
}

fn record_of(info: &ItemInfo) -> UpstreamRecord {
    let mut references: Vec<_> = info.references.iter().map(item).collect();
    references.sort();
    references.dedup();
    UpstreamRecord {
        item: item(&info.path),
        store: info.path.store().as_str().to_owned(),
        nar_hash: info.nar_hash,
        nar_size: info.nar_size,
        references,
        deriver: info.deriver.as_ref().map(item),
    }
}
