//! Fetching many items, each of them once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared, try_join_all};
use grange_agent_core::Jitter;
use grange_derivation::StorePath;
use grange_interfaces::{Clock, LocalStore, Upstream};
use tokio::sync::Semaphore;

use super::source::Source;
use super::upstream::{UpstreamFailure, import};
use super::{FetchError, Wanted};
use crate::calls::Coordinator;

type Fetch = BoxFuture<'static, Result<(), FetchError>>;

/// Fetches items into the agent's store.
pub(crate) struct Fetcher {
    coordinator: Arc<Coordinator>,
    upstream: Option<Arc<dyn Upstream>>,
    store: Arc<dyn LocalStore>,
    clock: Arc<dyn Clock>,
    jitter: Mutex<Jitter>,
    /// How many at once.
    room: Arc<Semaphore>,
    /// What is being fetched, for whichever attempt: held weakly, so that a fetch ends with the last
    /// attempt that wants it.
    under_way: Mutex<HashMap<StorePath, WeakShared<Fetch>>>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").finish_non_exhaustive()
    }
}

impl Fetcher {
    pub(crate) fn new(
        coordinator: Arc<Coordinator>,
        upstream: Option<Arc<dyn Upstream>>,
        store: Arc<dyn LocalStore>,
        clock: Arc<dyn Clock>,
        jitter: Jitter,
        limit: u32,
    ) -> Self {
        Self {
            coordinator,
            upstream,
            store,
            clock,
            jitter: Mutex::new(jitter),
            room: Arc::new(Semaphore::new(
                usize::try_from(limit).unwrap_or(usize::MAX >> 4),
            )),
            under_way: Mutex::default(),
        }
    }

    /// Makes these items valid. References stand before what refers to them, unless they are valid
    /// already.
    pub(crate) async fn fetch(&self, items: Vec<Wanted>) -> Result<(), FetchError> {
        let mut fetches: HashMap<StorePath, Shared<Fetch>> = HashMap::new();
        let mut all = Vec::new();
        for item in items {
            let path = item.info.path.clone();
            let references = item
                .info
                .references
                .iter()
                .filter(|reference| **reference != path);
            let before = references
                .filter_map(|reference| fetches.get(reference).cloned())
                .collect();
            let fetch = self.begin(item, before);
            all.push(fetch.clone());
            fetches.insert(path, fetch);
        }
        drop(fetches);
        try_join_all(all).await.map(|_| ())
    }

    /// Fetches `item` after `before`, unless somebody does already.
    fn begin(&self, item: Wanted, before: Vec<Shared<Fetch>>) -> Shared<Fetch> {
        let running =
            |weak: &WeakShared<Fetch>| weak.upgrade().filter(|fetch| fetch.peek().is_none());
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(fetch) = under_way.get(&item.info.path).and_then(running) {
            return fetch;
        }
        under_way.retain(|_, weak| running(weak).is_some());
        let path = item.info.path.clone();
        let fetch = self.one(item, before).shared();
        if let Some(weak) = fetch.downgrade() {
            under_way.insert(path, weak);
        }
        fetch
    }

    fn one(&self, item: Wanted, before: Vec<Shared<Fetch>>) -> Fetch {
        let (coordinator, clock) = (Arc::clone(&self.coordinator), Arc::clone(&self.clock));
        let (store, room) = (Arc::clone(&self.store), Arc::clone(&self.room));
        let upstream = self.upstream.clone().filter(|_| item.upstream);
        let jitter = Jitter::new(
            self.jitter
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .draw(),
        );
        async move {
            try_join_all(before).await?;
            let _permit = room.acquire_owned().await;
            let Wanted { info, file, .. } = item;
            let failed = match upstream {
                None => None,
                Some(upstream) => match import(&*upstream, &*store, &info).await {
                    Ok(()) => return Ok(()),
                    Err(UpstreamFailure::Store(error)) => return Err(error),
                    Err(UpstreamFailure::Not(why)) => Some(why),
                },
            };
            let Some(file) = file else {
                return Err(FetchError::missing(&info.path).with_why(failed));
            };
            let failure = Arc::new(Mutex::new(None));
            let source = Source::new(
                coordinator,
                clock,
                jitter,
                &info,
                file,
                Arc::clone(&failure),
            )
            .map_err(|error| FetchError::Other(error.to_string()))?;
            store
                .import(&info, source.into_body())
                .await
                .map_err(|error| {
                    let failure = failure
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take();
                    let error = failure.unwrap_or_else(|| FetchError::import(&info.path, &error));
                    error.with_why(failed)
                })
        }
        .boxed()
    }
}
