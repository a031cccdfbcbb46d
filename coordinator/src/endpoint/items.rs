//! Items and derivations, for agents and clients.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use grange_interfaces::message::Answer;
use grange_interfaces::{Fault, Refusal, Source, frame};

use super::dispatch::{Answered, CoordinatorEndpoint};
use crate::available::{Available, available};
use crate::convert::{artifact_refusal, digest, parse_path};
use crate::ingest;
use crate::upstream;

/// How many paths one message may name.
const MAX_PATHS: usize = 100_000;

impl CoordinatorEndpoint {
    pub(super) async fn items(&self, paths: Vec<String>, closure: bool) -> Answered {
        let digests = self.digests(&paths)?;
        if closure {
            let closure = ingest::closure_of_items(&self.shared, digests).await?;
            let items = closure.items.iter().map(|item| Some(item.view())).collect();
            return Ok((Answer::Items(items), None));
        }
        let found = available(&self.shared, &digests).await?;
        let views = found.into_iter().map(|item| Some(item?.view()));
        Ok((Answer::Items(views.collect()), None))
    }

    pub(super) async fn fetch_item(&self, path: String, offset: u64) -> Answered {
        let parsed = parse_path(&self.shared.config, &path)?;
        let found = available(&self.shared, &[digest(&parsed)]).await?;
        let Some(found) = found.into_iter().next().flatten() else {
            return Err(Refusal::new(
                Fault::NotFound,
                format!("{path} is not available here"),
            ));
        };
        let body = match &found {
            Available::Here(item) => {
                let range = offset.min(item.blob_size)..item.blob_size;
                let source = Source::Blob(item.blob);
                let body = self.shared.artifacts.read(&source, range).await;
                body.map_err(artifact_refusal)?
            }
            Available::Upstream(item) => {
                upstream::nar(&self.shared, &self.handle, item, offset).await?
            }
        };
        Ok((Answer::Item(found.view()), Some(body)))
    }

    pub(super) async fn derivations(&self, paths: Vec<String>) -> Answered {
        let digests = self.digests(&paths)?;
        let mut texts = Vec::new();
        for (path, digest) in paths.iter().zip(digests) {
            let (_, text) = self.derivation(digest).await.map_err(|mut refusal| {
                refusal.message = format!("{path}: {}", refusal.message);
                refusal
            })?;
            texts.push(frame(path, &text).expect("derivations that were taken are smaller"));
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
