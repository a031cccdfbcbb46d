//! Items and derivations, for agents and clients.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use grange_interfaces::message::Answer;
use grange_interfaces::{Fault, Refusal, Source};
use grange_model::{Key, Record};

use super::dispatch::{Answered, CoordinatorEndpoint};
use crate::convert::{artifact_refusal, digest, item_view, parse_path, store_refusal};
use crate::ingest;

/// How many paths one message may name.
const MAX_PATHS: usize = 100_000;

impl CoordinatorEndpoint {
    pub(super) async fn items(&self, paths: Vec<String>, closure: bool) -> Answered {
        let digests = self.digests(&paths)?;
        if closure {
            let closure = ingest::closure_of_items(&self.shared, digests).await?;
            let items = closure
                .items
                .iter()
                .map(|item| Some(item_view(item)))
                .collect();
            return Ok((Answer::Items(items), None));
        }
        let keys: Vec<_> = digests.into_iter().map(Key::Item).collect();
        let found = self
            .shared
            .datastore
            .get(&keys)
            .await
            .map_err(store_refusal)?;
        let view = |record: Option<Record>| match record {
            Some(Record::Item(item)) => Some(item_view(&item)),
            _ => None,
        };
        Ok((Answer::Items(found.into_iter().map(view).collect()), None))
    }

    pub(super) async fn fetch_item(&self, path: String, offset: u64) -> Answered {
        let parsed = parse_path(&self.shared.config, &path)?;
        let key = Key::Item(digest(&parsed));
        let found = self
            .shared
            .datastore
            .get(&[key])
            .await
            .map_err(store_refusal)?;
        let Some(Some(Record::Item(item))) = found.into_iter().next() else {
            return Err(Refusal::new(
                Fault::NotFound,
                format!("{path} is not available here"),
            ));
        };
        let range = offset.min(item.blob_size)..item.blob_size;
        let body = self
            .shared
            .artifacts
            .read(&Source::Blob(item.blob), range)
            .await;
        let body = body.map_err(artifact_refusal)?;
        Ok((Answer::Item(item_view(&item)), Some(body)))
    }

    pub(super) async fn derivations(&self, paths: Vec<String>) -> Answered {
        let digests = self.digests(&paths)?;
        let mut texts = Vec::new();
        for (path, digest) in paths.iter().zip(digests) {
            let (_, text) = self.derivation(digest).await.map_err(|mut refusal| {
                refusal.message = format!("{path}: {}", refusal.message);
                refusal
            })?;
            texts.push(ingest::derivation_frames([(
                path.as_str(),
                text.as_slice(),
            )]));
        }
        let body = stream::iter(texts.into_iter().map(Ok::<Bytes, std::io::Error>));
        Ok((Answer::Derivations, Some(body.boxed())))
    }

    fn digests(&self, paths: &[String]) -> Result<Vec<grange_model::Digest>, Refusal> {
        if paths.len() > MAX_PATHS {
            return Err(Refusal::new(
                Fault::Caller,
                format!("one message names at most {MAX_PATHS} paths"),
            ));
        }
        paths
            .iter()
            .map(|path| Ok(digest(&parse_path(&self.shared.config, path)?)))
            .collect()
    }
}
