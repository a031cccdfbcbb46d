//! One server after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use grange_derivation::StorePath;
use grange_interfaces::{Body, ItemInfo, Upstream, UpstreamError};
use grange_signatures::TrustedKeys;
use tokio::time::{Instant, timeout_at};

use crate::download;
use crate::http::Http;
use crate::server::Server;
use crate::{Config, ConfigError};

/// Substitute servers, asked in their order: the first that has an item under a trusted key's signature gives it.
///
/// It needs a Tokio runtime with time and I/O. A nar that comes holds 136 MiB at most, and only if its window is so large
/// (128 MiB of Zstandard, 64 MiB of xz and lzip); with usual settings it is 8 MiB or less.
#[derive(Debug)]
pub struct SubstituteServers {
    http: Http,
    keys: TrustedKeys,
    servers: Vec<Arc<Server>>,
    /// How many items are looked for at once.
    at_once: usize,
    find_time: Duration,
    stall_time: Duration,
}

/// A search for some items.
#[derive(Debug)]
struct Search {
    end: Instant,
    /// What to say of those that were not found by then.
    why: String,
    /// The place of the server that was being asked then.
    slow: AtomicUsize,
}

impl SubstituteServers {
    /// Asks nobody yet.
    ///
    /// # Errors
    ///
    /// If there are servers but nobody to trust, or the CAs cannot be read.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        if config.keys.is_empty() && !config.servers.is_empty() {
            return Err(ConfigError::NoKeys);
        }
        let servers = config.servers.iter();
        let servers = servers.map(|url| Arc::new(Server::new(url.clone(), config)));
        Ok(Self {
            http: Http::new(config)?,
            keys: config.keys.clone(),
            servers: servers.collect(),
            at_once: config.requests.max(1) * 2,
            find_time: config.find_time,
            stall_time: config.stall_time,
        })
    }

    /// What the first server that has an item says of it.
    async fn find_one(
        &self,
        path: &StorePath,
        search: &Search,
    ) -> Result<Option<ItemInfo>, UpstreamError> {
        let mut failure = None;
        let begun = Instant::now() < search.end;
        for (place, server) in self.servers.iter().enumerate() {
            if server.useless(path).is_some() {
                continue;
            }
            let found = server.find(&self.http, &self.keys, path);
            match timeout_at(search.end, found).await {
                Ok(Ok(Some(offer))) => return Ok(Some(offer.info)),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => failure = failure.or(Some(error)),
                Err(_) => {
                    // What nobody was asked for in time was kept waiting by those that were asked for others.
                    if begun {
                        search.slow.store(place, Ordering::Relaxed);
                    }
                    let slow = self.servers.get(search.slow.load(Ordering::Relaxed));
                    return Err(slow.unwrap_or(server).away(&search.why));
                }
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// The nar from one server; none if it has no such item.
    async fn open(
        &self,
        server: &Arc<Server>,
        info: &ItemInfo,
    ) -> Result<Option<Body>, UpstreamError> {
        // What is remembered may not be so any more: then the server is asked anew.
        for _ in 0..2 {
            let offer = server.find(&self.http, &self.keys, &info.path).await?;
            let same = |found: &ItemInfo| {
                found.nar_hash == info.nar_hash && found.nar_size == info.nar_size
            };
            let Some(offer) = offer else {
                return Ok(None);
            };
            if same(&offer.info)
                && let Some(opened) = server.open(&self.http, &offer).await?
            {
                let server = Arc::clone(server);
                return Ok(Some(download::body(
                    server,
                    info.clone(),
                    opened,
                    self.stall_time,
                )));
            }
            server.forget(&info.path);
        }
        Ok(None)
    }
}

#[async_trait]
impl Upstream for SubstituteServers {
    async fn find(&self, paths: &[StorePath]) -> Vec<Result<Option<ItemInfo>, UpstreamError>> {
        let search = Search {
            end: Instant::now() + self.find_time,
            why: format!(
                "{} items were not all found within {:?}",
                paths.len(),
                self.find_time
            ),
            slow: AtomicUsize::new(0),
        };
        let look = async |path: &StorePath| self.find_one(path, &search).await;
        stream::iter(paths)
            .map(look)
            .buffered(self.at_once)
            .collect()
            .await
    }

    async fn nar(&self, info: &ItemInfo) -> Result<Body, UpstreamError> {
        let (mut failure, mut useless) = (None, None);
        // Where it broke off, another time it may not: but the others come first.
        let broken = |server: &&Arc<Server>| !server.broken(&info.path).is_empty();
        let (last, first): (Vec<_>, Vec<_>) = self.servers.iter().partition(broken);
        for server in first.into_iter().chain(last) {
            if let Some(why) = server.useless(&info.path) {
                useless = useless.or(Some(why));
                continue;
            }
            match self.open(server, info).await {
                Ok(Some(body)) => return Ok(body),
                Ok(None) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure
            .or(useless)
            .unwrap_or_else(|| UpstreamError::Gone(info.path.clone())))
    }
}
