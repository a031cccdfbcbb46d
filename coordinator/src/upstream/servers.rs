//! Which servers are asked for what.

use std::sync::Arc;
use std::time::Duration;

use grange_derivation::StorePath;
use grange_interfaces::{Body, ItemInfo, Refusal, Upstream, UpstreamError};

/// Substitute servers that a coordinator asks. The default asks nobody.
#[derive(Clone, Debug, Default)]
pub struct Upstreams {
    /// For outputs, which then need not be built, and for sources.
    pub items: Option<Arc<dyn Upstream>>,
    /// For derivations and sources that a client does not have; what these do not have, the others are asked for.
    pub derivations: Option<Arc<dyn Upstream>>,
}

/// Servers, of which each is asked for what those before it do not have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Servers<'a>([Option<&'a Arc<dyn Upstream>>; 2]);

impl Upstreams {
    /// For outputs.
    pub(super) fn items(&self) -> Servers<'_> {
        Servers([self.items.as_ref(), None])
    }

    /// For derivations, and what they are made of.
    pub(super) fn derivations(&self) -> Servers<'_> {
        Servers([self.derivations.as_ref(), self.items.as_ref()])
    }

    /// For the bytes of whatever one of them was found to have.
    pub(super) fn all(&self) -> Servers<'_> {
        Servers([self.items.as_ref(), self.derivations.as_ref()])
    }
}

impl Servers<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// What one of them has of these items, in the order asked. Who does not answer has nothing.
    pub(super) async fn find(&self, paths: &[StorePath]) -> Vec<Option<ItemInfo>> {
        let mut found = vec![None; paths.len()];
        for server in self.0.into_iter().flatten() {
            let open = |(at, info): (usize, &Option<ItemInfo>)| info.is_none().then_some(at);
            let places: Vec<_> = found.iter().enumerate().filter_map(open).collect();
            if places.is_empty() {
                break;
            }
            let asked: Vec<_> = places.iter().map(|at| paths[*at].clone()).collect();
            let answers = server.find(&asked).await;
            for ((place, path), answer) in places.into_iter().zip(&asked).zip(answers) {
                match answer {
                    Ok(info) => found[place] = info.filter(|info| info.path == *path),
                    Err(error) => tracing::warn!(%path, %error, "it counts as not there upstream"),
                }
            }
        }
        found
    }

    /// The nar of an item; none if nobody has it any more, or nobody who has it is to be believed.
    ///
    /// # Errors
    ///
    /// A server that may have it does not answer.
    pub(super) async fn nar(&self, info: &ItemInfo) -> Result<Option<Body>, Refusal> {
        let mut unavailable = None;
        for server in self.0.into_iter().flatten() {
            match server.nar(info).await {
                Ok(body) => return Ok(Some(body)),
                Err(error @ UpstreamError::Unavailable { .. }) => unavailable = Some(error),
                Err(error) => {
                    tracing::warn!(path = %info.path, %error, "it is not to be had upstream")
                }
            }
        }
        match unavailable {
            Some(error) => Err(Refusal::busy(error.to_string(), Duration::from_secs(5))),
            None => Ok(None),
        }
    }
}
