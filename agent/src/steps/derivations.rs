//! Derivations for a builder that wants them in its store.
//!
//! A guix-daemon builds a derivation only if it is valid in the store, and it is valid only if all that it refers to
//! is: sources and input derivations, and so on down. What the store lacks of that comes from the coordinator.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::{Derivation, Hash, StorePath, nar};
use grange_interfaces::{ItemInfo, LocalStoreError};
use grange_model::NarHash;

use super::inputs::references_first;
use super::job::Verified;
use super::{Problem, SetupFailure, StepError};
use crate::fetch::Wanted;
use crate::shared::Shared;

/// How many texts are asked for at once.
const BATCH: usize = 500;

/// A derivation that is not in the store yet.
struct Text {
    derivation: Arc<Derivation>,
    text: Bytes,
}

/// Makes the derivation, and all that it refers to, valid.
pub(crate) async fn provide(shared: &Shared, verified: &Verified) -> Result<(), StepError> {
    let root = std::slice::from_ref(&verified.path);
    if lacking(shared, root.to_vec()).await?.is_empty() {
        return Ok(());
    }
    let own = Text {
        derivation: Arc::clone(&verified.derivation),
        text: Bytes::copy_from_slice(&verified.text),
    };
    let texts = closure(shared, verified.path.clone(), own).await?;
    sources(shared, &texts).await?;
    let infos = texts
        .iter()
        .map(|(path, text)| Ok((path.clone(), info(path, text)?)))
        .collect::<Result<HashMap<_, _>, StepError>>()?;
    for path in references_first(root.to_vec(), &infos) {
        let archive = archive(&texts[&path].text);
        let body = stream::iter([Ok(archive)]).boxed();
        let imported = shared.store.import(&infos[&path], body).await;
        imported.map_err(|error| refused(&path, &error))?;
    }
    Ok(())
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
    let offered = |path: &&StorePath| wanted.iter().any(|item| item.info.path == **path);
    let missing: Vec<_> = lacking.iter().filter(|path| !offered(path)).collect();
    if !missing.is_empty() {
        let missing = missing.iter().map(ToString::to_string).collect();
        return Err(StepError::Setup(SetupFailure::missing(missing)));
    }
    let paths = wanted.iter().map(|item| item.info.path.clone()).collect();
    let found = self::lacking(shared, paths).await?;
    let mut fetch = wanted;
    fetch.retain(|item| found.contains(&item.info.path));
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

fn info(path: &StorePath, text: &Text) -> Result<ItemInfo, StepError> {
    let archive = archive(&text.text);
    let hash = Hash::sha256(&archive).to_sha256();
    let references = text.derivation.references();
    Ok(ItemInfo {
        path: path.clone(),
        nar_hash: NarHash(
            hash.ok_or_else(|| {
                StepError::setup(Problem::Other, "SHA-256 has 32 bytes".to_owned())
            })?,
        ),
        nar_size: archive.len() as u64,
        references: references.into_iter().collect(),
        deriver: None,
    })
}

/// The nar of a text.
fn archive(text: &[u8]) -> Bytes {
    let mut encoder = nar::Encoder::new(Vec::with_capacity(text.len() + 128));
    let written = encoder
        .regular(false, text.len() as u64)
        .and_then(|()| encoder.data(text))
        .and_then(|()| encoder.finish());
    written
        .expect("a vector takes what is written to it")
        .0
        .into()
}

fn refused(path: &StorePath, error: &LocalStoreError) -> StepError {
    let message = format!("{path} cannot be put into the agent's store: {error}");
    let problem = match error {
        LocalStoreError::Full => Problem::DiskFull,
        _ => Problem::Other,
    };
    StepError::setup(problem, message)
}
