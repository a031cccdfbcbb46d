//! Asking for outputs before they are built.

use std::collections::{BTreeMap, BTreeSet};

use grange_derivation::StorePath;
use grange_interfaces::{ItemInfo, Refusal};
use grange_model::{BuildSpec, DerivationRecord, Digest, Key, Record};

use super::closure::{Derivations, closure, store};
use super::patience::Patience;
use super::servers::Servers;
use crate::available::available;
use crate::convert::{store_dir, store_path, store_refusal};
use crate::handle::Handle;
use crate::shared::Shared;

/// How many derivations are looked at together.
const PART: usize = 1_000;

/// What to do about a derivation.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Whether its outputs would do: not if somebody wants an attempt of his own.
    ask: bool,
    /// How far down to look if it has to be built.
    depth: u32,
}

/// Asks servers for the outputs of these builds, and, where there are none, for those of their inputs, and so on
/// down. What is here or upstream already is not asked for, and what unfinished builds may bring neither, except what
/// `builds` themselves make. A set of outputs counts only as a whole: outputs of two builds do not belong together.
pub(crate) async fn seek(
    shared: &Shared,
    handle: &Handle,
    builds: &[BuildSpec],
) -> Result<(), Refusal> {
    let servers = shared.upstreams.items();
    if servers.is_empty() {
        return Ok(());
    }
    let patience = Patience::new(shared);
    let mut level: BTreeMap<Digest, Look> = BTreeMap::new();
    for build in builds {
        let look = level.entry(build.derivation).or_insert(Look {
            ask: false,
            depth: 0,
        });
        look.ask |= !build.again;
        look.depth = look.depth.max(if build.inputs { u32::MAX } else { 1 });
    }
    let mut seen: BTreeSet<_> = level.keys().copied().collect();
    while !level.is_empty() {
        let mut next = BTreeMap::new();
        let all: Vec<_> = level.into_iter().collect();
        for part in all.chunks(PART) {
            if patience.is_over() {
                tracing::warn!(
                    "substitute servers were asked for as long as may be; what they were not asked for is built"
                );
                return Ok(());
            }
            let below = look_at(shared, handle, servers, part, &patience).await?;
            next.extend(below.into_iter().filter(|(digest, _)| seen.insert(*digest)));
        }
        level = next;
    }
    Ok(())
}

/// Asks for the outputs of these; gives the inputs to look at next.
async fn look_at(
    shared: &Shared,
    handle: &Handle,
    servers: Servers<'_>,
    part: &[(Digest, Look)],
    patience: &Patience<'_>,
) -> Result<Vec<(Digest, Look)>, Refusal> {
    let keys: Vec<_> = part.iter().map(|(it, _)| Key::Derivation(*it)).collect();
    let records = shared.datastore.get(&keys).await.map_err(store_refusal)?;
    let looks = part.iter().map(|(_, look)| *look);
    let known = |(record, look)| match record {
        Some(Record::Derivation(record)) => Some((record, look)),
        _ => None,
    };
    let derivations: Vec<_> = records.into_iter().zip(looks).filter_map(known).collect();
    let asked = derivations.iter().filter(|(_, look)| look.ask);
    let asked: Vec<_> = asked.map(|(record, _)| record).collect();
    let found = outputs(shared, handle, servers, &asked, patience).await?;
    let is_built = |record: &DerivationRecord| !found.contains(&record.item.digest);
    let mut inputs = BTreeMap::new();
    for (record, look) in &derivations {
        if look.depth > 0 && (!look.ask || is_built(record)) {
            let depth = look.depth.saturating_sub(u32::from(look.depth < u32::MAX));
            for input in &record.inputs {
                let deepest: &mut (Digest, u32) =
                    inputs.entry(input.output).or_insert((input.derivation, 0));
                deepest.1 = deepest.1.max(depth);
            }
        }
    }
    let outputs: Vec<_> = inputs.keys().copied().collect();
    let here = available(shared, &outputs).await?;
    let expected = handle
        .observe(move |core| {
            let expected = outputs.iter().map(|it| core.is_expected(*it));
            expected.collect::<Vec<_>>()
        })
        .await?;
    let below = inputs.into_values().zip(here).zip(expected);
    let below = below.filter(|((_, here), expected)| here.is_none() && !expected);
    let look = |depth| Look { ask: true, depth };
    Ok(below
        .map(|(((derivation, depth), _), _)| (derivation, look(depth)))
        .collect())
}

/// Asks for all outputs of these derivations that are not here; gives the derivations that need not be built.
async fn outputs(
    shared: &Shared,
    handle: &Handle,
    servers: Servers<'_>,
    derivations: &[&DerivationRecord],
    patience: &Patience<'_>,
) -> Result<BTreeSet<Digest>, Refusal> {
    let digests = |record: &DerivationRecord| {
        let outputs = record.outputs.iter();
        outputs.map(|it| it.item.digest).collect::<Vec<_>>()
    };
    let all: Vec<_> = derivations.iter().flat_map(|it| digests(it)).collect();
    let here = available(shared, &all).await?;
    let here = all.iter().zip(here).filter(|(_, found)| found.is_some());
    let mut done: BTreeSet<Digest> = here.map(|(digest, _)| *digest).collect();
    let mut asked = Vec::new();
    for record in derivations {
        let absent = record.outputs.iter();
        let absent = absent.filter(|it| !done.contains(&it.item.digest));
        let store = store_dir(&record.store)?;
        for output in absent {
            asked.push(store_path(&store, &output.item)?);
        }
    }
    let found: BTreeMap<Digest, ItemInfo> = find(servers, &asked).await;
    let is_whole = |record: &&&DerivationRecord| {
        let mut digests = digests(record).into_iter();
        digests.all(|it| done.contains(&it) || found.contains_key(&it))
    };
    let whole = derivations
        .iter()
        .filter(is_whole)
        .flat_map(|it| digests(it));
    let roots = whole.filter_map(|it| found.get(&it).cloned()).collect();
    let infos = closure(shared, servers, Derivations::AreItems, roots, patience).await?;
    // Again as a whole: of some there may be a reference that nobody has.
    let complete: BTreeSet<_> = infos.iter().map(|it| Digest(*it.path.digest())).collect();
    store(handle, &infos).await?;
    done.extend(complete);
    let is_done = |record: &&&DerivationRecord| digests(record).iter().all(|it| done.contains(it));
    let derivations = derivations.iter().filter(is_done);
    Ok(derivations.map(|record| record.item.digest).collect())
}

async fn find(servers: Servers<'_>, paths: &[StorePath]) -> BTreeMap<Digest, ItemInfo> {
    let found = servers.find(paths).await.into_iter().flatten();
    found
        .map(|info| (Digest(*info.path.digest()), info))
        .collect()
}
