//! Derivations for a builder that wants them in its store.
//!
//! A guix-daemon builds a derivation only if it is valid in the store, and it is valid only if all that it refers to
//! is: sources and input derivations, and so on down. What the store lacks of that comes from the coordinator. The
//! derivation itself is the builder's, which is given its text.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::{Derivation, StorePath, graph, nar};
use grange_interfaces::{ItemInfo, LocalStoreError};
use grange_model::NarHash;
use sha2::Digest;

use super::inputs::{circle, sorted};
use super::job::Verified;
use super::upstream::gather;
use super::{Problem, StepError};
use crate::fetch::Wanted;
use crate::shared::Shared;

/// How many texts are asked for at once.
const BATCH: usize = 500;

/// A derivation that is not in the store yet.
struct Text {
    derivation: Arc<Derivation>,
    text: Bytes,
}

/// Makes all that the derivation refers to valid, directly or not.
pub(crate) async fn provide(shared: &Shared, verified: &Verified) -> Result<(), StepError> {
    let root = vec![verified.path.clone()];
    if lacking(shared, root.clone()).await?.is_empty() {
        return Ok(());
    }
    let own = Text {
        derivation: Arc::clone(&verified.derivation),
        text: Bytes::copy_from_slice(&verified.text),
    };
    let texts = closure(shared, verified.path.clone(), own).await?;
    sources(shared, &texts).await?;
    let references = |path: &StorePath| {
        let text = texts.get(path)?;
        Some(text.derivation.references())
    };
    let order = graph::references_first(root, references).map_err(|error| circle(&error))?;
    for path in order {
        if path != verified.path {
            import(shared, &path, &texts[&path]).await?;
        }
    }
    Ok(())
}

async fn import(shared: &Shared, path: &StorePath, text: &Text) -> Result<(), StepError> {
    let archive = Bytes::from(nar::of_file(&text.text));
    let info = ItemInfo {
        path: path.clone(),
        nar_hash: NarHash(sha2::Sha256::digest(&archive).into()),
        nar_size: archive.len() as u64,
        references: text.derivation.references().into_iter().collect(),
        deriver: None,
    };
    let body = stream::iter([Ok(archive)]).boxed();
    let imported = shared.store.import(&info, body).await;
    imported.map_err(|error| refused(path, &error))
}

/// The derivations below one that the store lacks, itself included.
async fn closure(
    shared: &Shared,
    root: StorePath,
    own: Text,
) -> Result<HashMap<StorePath, Text>, StepError> {
    let mut next = inputs(&own);
    let mut texts = HashMap::from([(root, own)]);
    while !next.is_empty() {
        next.retain(|path| !texts.contains_key(path));
        next.sort();
        next.dedup();
        let lacking = lacking(shared, std::mem::take(&mut next)).await?;
        for batch in lacking.chunks(BATCH) {
            for (path, text) in fetch(shared, batch).await? {
                next.extend(inputs(&text));
                texts.insert(path, text);
            }
        }
    }
    Ok(texts)
}

fn inputs(text: &Text) -> Vec<StorePath> {
    text.derivation.input_derivations.keys().cloned().collect()
}

async fn fetch(shared: &Shared, paths: &[StorePath]) -> Result<Vec<(StorePath, Text)>, StepError> {
    let texts = shared.coordinator.derivations(paths).await?;
    let read = |(path, text): (&StorePath, Bytes)| {
        let verified = Verified::of_text(path.clone(), &text)?;
        let derivation = verified.derivation;
        Ok((path.clone(), Text { derivation, text }))
    };
    paths.iter().zip(texts).map(read).collect()
}

/// Fetches the sources of derivations that the store lacks.
async fn sources(shared: &Shared, texts: &HashMap<StorePath, Text>) -> Result<(), StepError> {
    let mut sources: Vec<_> = texts
        .values()
        .flat_map(|text| text.derivation.input_sources.iter().cloned())
        .collect();
    sources.sort();
    sources.dedup();
    let lacking = lacking(shared, sources).await?;
    if lacking.is_empty() {
        return Ok(());
    }
    let store = shared.store.store_dir();
    let views = shared.coordinator.items(&lacking).await?;
    let wanted = views.iter().map(|view| Wanted::read(store, view));
    let wanted: Vec<_> = wanted.collect::<Result<_, _>>().map_err(|error| {
        StepError::setup(
            Problem::Other,
            format!("the coordinator offers a bad source: {error}"),
        )
    })?;
    let offered: HashSet<_> = wanted.iter().map(|item| item.info.path.clone()).collect();
    let missing = lacking.into_iter().filter(|path| !offered.contains(path));
    let elsewhere = gather(shared, missing.collect(), &offered).await?;
    let found = elsewhere.fetch.iter().map(|item| item.info.path.clone());
    let paths = offered.into_iter().chain(found).collect();
    let lacking: HashSet<_> = self::lacking(shared, paths).await?.into_iter().collect();
    let mut fetch = wanted;
    if !elsewhere.fetch.is_empty() {
        fetch.extend(elsewhere.fetch);
        fetch = sorted(fetch)?;
    }
    fetch.retain(|item| lacking.contains(&item.info.path));
    Ok(shared.fetcher.fetch(fetch).await?)
}

/// Those of these that are not valid.
async fn lacking(shared: &Shared, paths: Vec<StorePath>) -> Result<Vec<StorePath>, StepError> {
    let found = shared.store.query(&paths).await.map_err(|error| {
        StepError::setup(
            Problem::Other,
            format!("the agent's store cannot be asked: {error}"),
        )
    })?;
    let lacks = paths.into_iter().zip(found);
    Ok(lacks
        .filter(|(_, info)| info.is_none())
        .map(|(path, _)| path)
        .collect())
}

fn refused(path: &StorePath, error: &LocalStoreError) -> StepError {
    let message = format!("{path} cannot be put into the agent's store: {error}");
    let problem = match error {
        LocalStoreError::Full => Problem::DiskFull,
        _ => Problem::Other,
    };
    StepError::setup(problem, message)
}
