//! Outputs go that nothing keeps.
//!
//! What goes is chosen from one reading of the history, then deleted in slices, what refers to others
//! first, so that at any moment what is here is here with all that it refers to. Between the reading
//! and a slice something may have come that needs an item: a build (the core refuses), or something
//! that is being written ([`Relied`](super::relied)). Such an item stays, with all that it refers to.
//! It was not deleted yet, for what refers to others comes first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use grange_coordinator_core::MAX_PRUNED;
use grange_interfaces::message::{Held, PruneRequest, PruneView, PrunedItem};
use grange_interfaces::{Fault, FinishedFilter, Refusal};
use grange_model::{DerivationRecord, Digest, FinishedBuild, Key, Record, Tags, Timestamp};

use super::choice::{Choice, Items};
use super::delete::{Patience, delete};
use crate::convert::{digest, parse_path, path_text, store_refusal};
use crate::handle::Handle;
use crate::shared::Shared;

/// How many records are read at once.
const PAGE: usize = 1_000;
/// How many of those that go are named.
const MAX_NAMED: usize = 10_000;

/// What the builds of a derivation say about its outputs.
#[derive(Debug, Default)]
struct Use {
    last: Timestamp,
    /// One of them has a tag that keeps.
    kept: bool,
    /// One of them does not have all of the tags.
    other: bool,
}

/// Says which outputs go, and deletes them if it is told to.
pub(crate) async fn prune(
    shared: &Arc<Shared>,
    handle: &Handle,
    request: PruneRequest,
) -> Result<PruneView, Refusal> {
    check(&request)?;
    let roots = request.roots.iter();
    let roots = roots.map(|path| Ok((digest(&parse_path(&shared.config, path)?), path)));
    let roots = roots.collect::<Result<HashMap<_, _>, Refusal>>()?;
    let watch = shared.relied.watch().ok_or_else(|| {
        Refusal::busy(
            "another prune of the artifacts is under way",
            Duration::from_secs(10),
        )
    })?;
    // What was relied on, and is not any more, may be in a commit that is under way.
    handle.settled().await?;
    let mut items = read_items(shared).await?;
    let mut patience = Patience::new(&*shared.clock);
    keep_needed(handle, &mut patience, &mut items).await?;
    let uses = read_uses(shared, &request).await?;
    read_derivations(shared, &request, &uses, roots, &mut items).await?;
    drop(uses);
    let now = shared.clock.now();
    let since = match request.older_than_ms {
        Some(age) => now.0.saturating_sub(age),
        None => u64::MAX,
    };
    let chosen = tokio::task::spawn_blocking(move || {
        let choice = items.choose(since, request.max_bytes, MAX_PRUNED);
        (items, choice)
    });
    let (items, choice) = chosen
        .await
        .map_err(|error| Refusal::new(Fault::Us, format!("choosing failed: {error}")))?;
    let named = name(shared, &items, &choice).await?;
    let mut view = PruneView {
        goes: choice.gone,
        stays: choice.left,
        deleted: request.delete,
        items: named,
    };
    if request.delete {
        let deleted = delete(handle, &mut patience, &watch, &items, &choice).await?;
        amend(&mut view, &items, &deleted.stays);
        tracing::info!(
            outputs = view.goes.count,
            bytes = view.goes.bytes,
            "pruned outputs"
        );
        if let Some(refusal) = deleted.ended {
            tracing::warn!(
                %refusal,
                outputs = deleted.stays.len(),
                "the prune ended before it was through; outputs that were chosen stay until the next"
            );
        }
    }
    Ok(view)
}

fn check(request: &PruneRequest) -> Result<(), Refusal> {
    let says = request.older_than_ms.is_some()
        || request.max_bytes.is_some()
        || !request.tags.is_empty()
        || !request.keep_tags.is_empty()
        || !request.roots.is_empty();
    if says {
        return Ok(());
    }
    let message = "nothing says which outputs shall go: give an age, tags, roots or a size";
    Err(Refusal::new(Fault::Caller, message))
}

async fn read_items(shared: &Shared) -> Result<Items, Refusal> {
    let mut items = Items::default();
    let mut after = None;
    loop {
        let page = shared.datastore.items(after, PAGE).await;
        let page = page.map_err(store_refusal)?;
        page.entries.iter().for_each(|item| items.push(item));
        after = page.entries.last().map(|item| item.item.digest);
        if !page.more {
            break;
        }
    }
    items.connect();
    Ok(items)
}

async fn read_uses(
    shared: &Shared,
    request: &PruneRequest,
) -> Result<HashMap<Digest, Use>, Refusal> {
    let mut uses: HashMap<Digest, Use> = HashMap::new();
    let (filter, mut after) = (FinishedFilter::default(), None);
    loop {
        let page = shared.datastore.finished(&filter, after, PAGE).await;
        let page = page.map_err(store_refusal)?;
        for build in &page.entries {
            let used = uses.entry(build.build.spec.derivation).or_default();
            used.learn(request, build);
        }
        after = page.entries.last().map(|build| build.build.spec.id);
        if !page.more {
            return Ok(uses);
        }
    }
}

impl Use {
    fn learn(&mut self, request: &PruneRequest, build: &FinishedBuild) {
        let tags = &build.build.spec.tags;
        let has = |(key, value): (&String, &String)| tags.get(key) == Some(value);
        self.last = self.last.max(build.ended_at);
        let mut keep = request.keep_tags.iter();
        self.kept |= keep.any(|(key, value)| has((key, value)));
        self.other |= !request.tags.iter().all(has);
    }

    /// Until when an output is of use.
    fn until(used: Option<&Self>, tags: &Tags) -> u64 {
        match used {
            Some(used) if used.kept || used.other => u64::MAX,
            Some(used) => used.last.0,
            // Nobody can say that only builds with these tags wanted it.
            None if !tags.is_empty() => u64::MAX,
            None => 0,
        }
    }
}

/// Sources of derivations stay, since a derivation that is here is here with its closure; so do roots.
async fn read_derivations(
    shared: &Shared,
    request: &PruneRequest,
    uses: &HashMap<Digest, Use>,
    mut roots: HashMap<Digest, &String>,
    items: &mut Items,
) -> Result<(), Refusal> {
    let wanted: HashSet<Digest> = roots.keys().copied().collect();
    let mut after = None;
    loop {
        let page = shared.datastore.derivations(after, PAGE).await;
        let page = page.map_err(store_refusal)?;
        join_outputs(shared, &page.entries, items).await?;
        for record in &page.entries {
            for source in &record.sources {
                items.keep(source.digest);
            }
            let is_root = wanted.contains(&record.item.digest);
            roots.remove(&record.item.digest);
            let built = uses.get(&record.item.digest);
            let used = Use::until(built, &request.tags);
            for output in &record.outputs {
                items.used_until(output.item.digest, if is_root { u64::MAX } else { used });
            }
            // Its builds used what it needs.
            if built.is_some() {
                for input in &record.inputs {
                    items.used_until(input.output, used);
                }
            }
        }
        after = page.entries.last().map(|record| record.item.digest);
        if !page.more {
            break;
        }
    }
    roots.retain(|root, _| {
        items.keep(*root);
        items.place(*root).is_none()
    });
    match roots.into_values().min() {
        None => Ok(()),
        Some(root) => Err(Refusal::new(
            Fault::NotFound,
            format!("the root {root} is not here"),
        )),
    }
}

/// The outputs of a derivation go or stay together. Those of which others have come since the items
/// were read stay.
async fn join_outputs(
    shared: &Shared,
    records: &[DerivationRecord],
    items: &mut Items,
) -> Result<(), Refusal> {
    // Outputs that were not among the items, each with one of its derivation that was.
    let (mut others, mut beside) = (Vec::new(), Vec::new());
    for record in records {
        let outputs = record.outputs.iter().map(|output| output.item.digest);
        let here: Vec<_> = outputs.clone().filter_map(|it| items.place(it)).collect();
        items.join(&here);
        if let Some(first) = here.first() {
            for output in outputs.filter(|it| items.place(*it).is_none()) {
                others.push(Key::Item(output));
                beside.push(items.digest(*first));
            }
        }
    }
    for (others, beside) in others.chunks(PAGE).zip(beside.chunks(PAGE)) {
        let found = shared.datastore.get(others).await.map_err(store_refusal)?;
        for (output, found) in beside.iter().zip(found) {
            if found.is_some() {
                items.keep(*output);
            }
        }
    }
    Ok(())
}

/// What builds make or need now stays. The core has the last word when it comes to deleting.
async fn keep_needed(
    handle: &Handle,
    patience: &mut Patience<'_>,
    items: &mut Items,
) -> Result<(), Refusal> {
    let candidates: Vec<_> = items.candidates().collect();
    for slice in candidates.chunks(MAX_PRUNED) {
        let needed = loop {
            let asked = slice.to_vec();
            match handle.observe(move |core| core.needed(&asked)).await {
                Ok(needed) => break needed,
                Err(refusal) => patience.wait(refusal).await?,
            }
        };
        needed.into_iter().for_each(|output| items.keep(output));
    }
    Ok(())
}

async fn name(shared: &Shared, items: &Items, choice: &Choice) -> Result<Vec<PrunedItem>, Refusal> {
    let mut named = Vec::new();
    let places = &choice.goes[..choice.goes.len().min(MAX_NAMED)];
    for places in places.chunks(PAGE) {
        let keys = places.iter().map(|place| Key::Item(items.digest(*place)));
        let keys: Vec<_> = keys.collect();
        let found = shared.datastore.get(&keys).await.map_err(store_refusal)?;
        for (place, record) in places.iter().zip(found) {
            if let Some(Record::Item(item)) = record {
                named.push(PrunedItem {
                    path: path_text(&item.store, &item.item),
                    bytes: items.bytes(*place),
                    used_at_ms: items.used_at(*place),
                });
            }
        }
    }
    Ok(named)
}

/// Takes out of the answer what stays after all.
fn amend(view: &mut PruneView, items: &Items, rescued: &HashSet<Digest>) {
    let mut back = Held::default();
    for place in rescued.iter().filter_map(|digest| items.place(*digest)) {
        back.add(items.bytes(place));
    }
    view.goes.count -= back.count;
    view.goes.bytes -= back.bytes;
    view.stays.count += back.count;
    view.stays.bytes += back.bytes;
    view.items.retain(|item| {
        let path = grange_derivation::StorePath::parse_any(&item.path);
        path.is_ok_and(|path| !rescued.contains(&digest(&path)))
    });
}
