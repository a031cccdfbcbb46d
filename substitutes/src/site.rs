//! The site.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use grange_derivation::{Hash, HashAlgo, StoreDir, StorePath, paths};
use grange_fail_points::{Point, reach};
use grange_interfaces::{
    ArtifactError, ArtifactStore, Body, FinishedFilter, History, Site, SiteBody, Source, StoreError,
};
use grange_model::{BlobId, BuildState, Digest, ItemRecord, Key, Record};
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use crate::closure::Closures;
use crate::config::{Cache, SubstitutesConfig};
use crate::file::Unpackers;
use crate::narinfo::narinfo;
use crate::remembered::{Known, Nar, Remembered};
use crate::reply::{BYTES, NARINFO, Reply, TEXT};
use crate::route::{Page, route};

/// How many finished builds are looked at together.
const PAGE: usize = 500;
/// How many of them first, where mostly one is enough.
const FIRST: usize = 8;

/// What strangers fetch from a farm.
pub struct Substitutes {
    pub(crate) history: Arc<dyn History>,
    pub(crate) artifacts: Arc<dyn ArtifactStore>,
    pub(crate) config: SubstitutesConfig,
    pub(crate) known: Remembered,
    pub(crate) closures: Closures,
    unpackers: Unpackers,
}

/// Why there is no page.
pub(crate) enum Missing {
    /// There is no such thing, or it is not published.
    NotFound(String),
    /// We cannot say.
    Failed(String),
    /// Too many ask for what takes long.
    Busy(&'static str),
}

pub(crate) type Found = Result<Reply, Missing>;

impl Substitutes {
    /// What `history` and `artifacts` have, as the configuration says.
    #[must_use]
    pub fn new(
        history: Arc<dyn History>,
        artifacts: Arc<dyn ArtifactStore>,
        config: SubstitutesConfig,
    ) -> Self {
        Self {
            history,
            artifacts,
            config,
            known: Remembered::default(),
            closures: Closures::default(),
            unpackers: Unpackers::default(),
        }
    }

    async fn page(&self, head: &Parts) -> Found {
        let nothing = || not_found(format!("there is nothing at {:?}", head.uri.path()));
        let route = route(head.uri.path()).ok_or_else(nothing)?;
        let caches = self.config.caches.iter().enumerate();
        let (number, cache) = caches
            .into_iter()
            .find(|(_, cache)| cache.root() == route.root)
            .ok_or_else(nothing)?;
        match route.page {
            Page::CacheInfo => Ok(self.cache_info(cache)),
            Page::Narinfo(digest) => self.narinfo(number, cache, Digest(digest)).await,
            Page::Nar(compression, name) => self.nar(number, cache, compression, &name, head).await,
            Page::Log(name) => self.log(cache, &name).await,
            Page::File(name, hash) => self.file(cache, &name, &hash, head).await,
        }
    }

    fn cache_info(&self, cache: &Cache) -> Reply {
        let mut text = format!("StoreDir: {}\nWantMassQuery: 1\n", cache.store());
        if let Cache::Nix { priority, .. } = cache {
            text.push_str(&format!("Priority: {priority}\n"));
        }
        Reply::text(StatusCode::OK, TEXT, text).remember(self.config.found_for)
    }

    async fn narinfo(&self, number: usize, cache: &Cache, digest: Digest) -> Found {
        let text = match self.known.get(number, digest) {
            Some(known) => known.narinfo,
            None => {
                let record = self.published(cache, digest).await?;
                let as_of = self.check_closure(number, cache, &record).await?;
                let nar = Nar::from(&record);
                let offered = self.offered(cache).iter();
                let files: Vec<_> = offered
                    .map(|compression| (*compression, self.file_size(&nar, *compression)))
                    .collect();
                reach(Point::NarinfoSigning);
                let narinfo = narinfo(cache, &record, &files).map_err(|error| {
                    Missing::Failed(format!("the narinfo of {}: {error}", record.item.name))
                })?;
                reach(Point::NarinfoSigned);
                let known = Known {
                    narinfo: Bytes::from(narinfo.print()),
                    nar,
                    as_of,
                };
                self.known.put(number, digest, known.clone());
                known.narinfo
            }
        };
        let reply = Reply::new(StatusCode::OK, NARINFO, SiteBody::Bytes(text));
        Ok(reply.remember(self.config.found_for))
    }

    /// An item that anybody may have.
    pub(crate) async fn published(
        &self,
        cache: &Cache,
        digest: Digest,
    ) -> Result<ItemRecord, Missing> {
        let found = self.items(&[digest]).await?.into_iter().next().flatten();
        let here = found.filter(|record| record.store == cache.store().as_str());
        let record = here.ok_or_else(|| not_found("there is no such item here"))?;
        if self.is_withheld(&record).await? {
            return Err(not_found("there is no such item here"));
        }
        Ok(record)
    }

    pub(crate) async fn items(
        &self,
        digests: &[Digest],
    ) -> Result<Vec<Option<ItemRecord>>, Missing> {
        let keys: Vec<_> = digests.iter().copied().map(Key::Item).collect();
        let found = self.history.get(&keys).await.map_err(failed)?;
        let item = |record| match record {
            Some(Record::Item(item)) => Some(item),
            _ => None,
        };
        Ok(found.into_iter().map(item).collect())
    }

    /// Whether only builds that are not to be published made it. Sources are known to whoever asks for them.
    pub(crate) async fn is_withheld(&self, record: &ItemRecord) -> Result<bool, Missing> {
        let Some(deriver) = &record.deriver else {
            return Ok(false);
        };
        if self.config.withheld.is_empty() {
            return Ok(false);
        }
        let filter = FinishedFilter {
            state: Some(BuildState::Succeeded),
            derivation: Some(deriver.digest),
            ..FinishedFilter::default()
        };
        let mut any = false;
        let (mut after, mut limit) = (None, FIRST);
        loop {
            let page = self.history.finished(&filter, after, limit).await;
            let page = page.map_err(failed)?;
            for build in &page.entries {
                let tags = &build.build.spec.tags;
                let has = |(key, value): &(String, String)| tags.get(key) == Some(value);
                if !self.config.withheld.iter().any(has) {
                    return Ok(false);
                }
                any = true;
                after = Some(build.build.spec.id);
            }
            if !page.more {
                return Ok(any);
            }
            limit = PAGE;
        }
    }

    pub(crate) async fn blob(&self, blob: BlobId, range: Range<u64>) -> Result<Body, Missing> {
        Ok(self.artifacts.read(&Source::Blob(blob), range).await?)
    }

    /// The log of the derivation's newest build that has one.
    async fn log(&self, cache: &Cache, name: &str) -> Found {
        let path = base_name(cache.store(), name)?;
        let filter = FinishedFilter {
            derivation: Some(Digest(*path.digest())),
            ..FinishedFilter::default()
        };
        let (mut after, mut newest) = (None, None);
        loop {
            let page = self.history.finished(&filter, after, PAGE).await;
            let page = page.map_err(failed)?;
            after = page.entries.last().map(|build| build.build.spec.id);
            for build in &page.entries {
                let tags = &build.build.spec.tags;
                let has = |(key, value): &(String, String)| tags.get(key) == Some(value);
                if !self.config.withheld.iter().any(has) {
                    newest = build.attempts.iter().rev().find_map(|it| it.log).or(newest);
                }
            }
            if !page.more {
                break;
            }
        }
        let log = newest.ok_or_else(|| not_found(format!("there is no log of {name} here")))?;
        let size = self.artifacts.size(&Source::Blob(log)).await;
        let size = size.map_err(|error| Missing::Failed(error.to_string()))?;
        let body = self.blob_part(log, 0..size).await?;
        let reply = Reply::new(StatusCode::OK, TEXT, body).size(size);
        Ok(reply.remember(self.config.missing_for))
    }

    /// A file that is known by its contents, as Guix's daemon asks for it when a source's own server has lost it.
    async fn file(&self, cache: &Cache, name: &str, hash: &str, head: &Parts) -> Found {
        let hash = Hash::parse(HashAlgo::Sha256, hash)
            .map_err(|error| not_found(format!("{hash:?}: {error}")))?;
        let path = paths::fixed_output_path(cache.store(), name, false, &hash)
            .map_err(|error| not_found(format!("{name:?}: {error}")))?;
        let record = self.published(cache, Digest(*path.digest())).await?;
        let body = if head.method == Method::HEAD {
            grange_interfaces::empty_body()
        } else {
            let busy = Missing::Busy("too many files are being unpacked");
            let unpacker = self.unpackers.one().await.ok_or(busy)?;
            unpacker.contents(self.blob(record.blob, 0..record.blob_size).await?)
        };
        let reply = Reply::new(StatusCode::OK, BYTES, SiteBody::Stream(body));
        Ok(reply.remember(self.config.found_for))
    }
}

#[async_trait]
impl Site for Substitutes {
    async fn get(&self, head: &Parts) -> Response<SiteBody> {
        let reply = match self.page(head).await {
            Ok(reply) => reply,
            Err(Missing::NotFound(what)) => {
                Reply::text(StatusCode::NOT_FOUND, TEXT, format!("{what}\n"))
                    .remember(self.config.missing_for)
            }
            Err(Missing::Failed(what)) => {
                tracing::error!(
                    path = head.uri.path(),
                    what,
                    "a substitute cannot be served"
                );
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Reply::text(status, TEXT, "the farm cannot say: come again\n")
                    .header(RETRY_AFTER, HeaderValue::from_static("10"))
            }
            Err(Missing::Busy(what)) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Reply::text(status, TEXT, format!("{what}: come again\n"))
                    .header(RETRY_AFTER, HeaderValue::from_static("30"))
            }
        };
        reply.done()
    }
}

impl fmt::Debug for Substitutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Substitutes")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

pub(crate) fn not_found(what: impl Into<String>) -> Missing {
    Missing::NotFound(what.into())
}

impl From<ArtifactError> for Missing {
    fn from(error: ArtifactError) -> Self {
        match error {
            ArtifactError::NotFound(_) => not_found("its bytes are gone"),
            error => Self::Failed(error.to_string()),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn failed(error: StoreError) -> Missing {
    Missing::Failed(error.to_string())
}

pub(crate) fn base_name(store: &StoreDir, name: &str) -> Result<StorePath, Missing> {
    StorePath::from_base_name(store, name).map_err(|error| not_found(format!("{name:?}: {error}")))
}
