//! Which servers are asked for what.

use std::sync::Arc;
use std::time::Duration;

use grange_derivation::StorePath;
use grange_interfaces::{Body, Fault, ItemInfo, Refusal, Upstream, UpstreamError};

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

    pub(super) async fn nar(&self, info: &ItemInfo) -> Result<Body, Refusal> {
        let mut refusal = Refusal::new(
            Fault::NotFound,
            format!("no substitute server has {}", info.path),
        );
        for server in self.0.into_iter().flatten() {
            match server.nar(info).await {
                Ok(body) => return Ok(body),
                Err(UpstreamError::Gone(_)) => {}
                Err(error @ UpstreamError::Unavailable { .. }) => {
                    refusal = Refusal::busy(error.to_string(), Duration::from_secs(5));
                }
                Err(error) => refusal = Refusal::new(Fault::Peer, error.to_string()),
            }
        }
        Err(refusal)
    }
}
