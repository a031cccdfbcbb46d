//! One server.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use grange_derivation::{Dialect, StoreDir, StorePath};
use grange_interfaces::{ItemInfo, UpstreamError};
use grange_model::NarHash;
use grange_signatures::TrustedKeys;
use grange_signatures::narinfo::{Compression, Narinfo, Source};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Uri, Version};
use hyper::body::Incoming;
use tokio::sync::Semaphore;

use crate::cache_info::store_of_cache_info;
use crate::decoder::Decoder;
use crate::health::Health;
use crate::http::{Http, HttpError};
use crate::remembered::Remembered;
use crate::{Config, ServerUrl};

/// The most bytes of a `nix-cache-info`.
const CACHE_INFO: usize = 16 << 10;

/// How long to believe that a server has no `nix-cache-info`.
const NO_CACHE_INFO_TIME: Duration = Duration::from_secs(600);

/// One substitute server, and what is remembered of it.
#[derive(Debug)]
pub(crate) struct Server {
    url: ServerUrl,
    health: Health,
    requests: Semaphore,
    answer_time: Duration,
    serves: tokio::sync::Mutex<Option<Serves>>,
    memory: Mutex<Memory>,
}

/// Which store a server's items belong in.
#[derive(Clone, Debug)]
enum Serves {
    Store(StoreDir),
    /// It does not say, as some servers of Guix do not; when that was seen.
    Unsaid(Instant),
}

#[derive(Debug)]
struct Memory {
    found: Remembered<StorePath, Offer>,
    missing: Remembered<StorePath, ()>,
    /// Items that are not to be had from it, since it gave something else or gives up each time.
    useless: Remembered<StorePath, UpstreamError>,
    /// Items whose nars broke off, and where.
    broken: Remembered<StorePath, Vec<Uri>>,
}

/// An item that a trusted key has signed, and where its nar can be had.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) info: ItemInfo,
    /// Best first, and at least one.
    sources: Vec<(Uri, Compression)>,
}

/// A nar that begins to come.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) uri: Uri,
    pub(crate) incoming: Incoming,
    /// Whether its end is announced: if not, it ends like one that was cut.
    pub(crate) framed: bool,
    pub(crate) decoder: Decoder,
}

impl Server {
    pub(crate) fn new(url: ServerUrl, config: &Config) -> Self {
        let most = config.remembered;
        Self {
            url,
            health: Health::new(config.back_off, config.back_off_most),
            requests: Semaphore::new(config.requests.max(1)),
            answer_time: config.answer_time,
            serves: tokio::sync::Mutex::default(),
            memory: Mutex::new(Memory {
                found: Remembered::new(config.found_time, most),
                missing: Remembered::new(config.missing_time, most),
                useless: Remembered::new(config.lie_time, most),
                broken: Remembered::new(config.lie_time, most),
            }),
        }
    }

    /// What it has under this path, if a trusted key has signed it.
    pub(crate) async fn find(
        &self,
        http: &Http,
        keys: &TrustedKeys,
        path: &StorePath,
    ) -> Result<Option<Offer>, UpstreamError> {
        if let Some(known) = self.known(path) {
            return Ok(known);
        }
        self.awake()?;
        if !self.serves(http, path.store()).await? {
            return Ok(None);
        }
        let _request = self
            .requests
            .acquire()
            .await
            .map_err(|_| self.away("it is closed"))?;
        // Another request may have brought it, or have found that nobody is there, while this one waited.
        if let Some(known) = self.known(path) {
            return Ok(known);
        }
        self.awake()?;
        let uri = self.url.join(&format!("{}.narinfo", path.hash_part()));
        let uri = uri.map_err(|why| self.away(&why))?;
        let read = http
            .read(&self.url, uri, Narinfo::MAX_SIZE, self.answer_time)
            .await;
        let offer = match read {
            Ok(Some(text)) => {
                self.health.answered();
                self.judge(&text, keys, path)
            }
            Ok(None) => {
                tracing::warn!(server = %self.url, %path, "a narinfo with too many bytes");
                self.health.answered();
                None
            }
            Err(HttpError::Missing) => {
                self.health.answered();
                None
            }
            Err(HttpError::Away(why)) => return Err(self.failed(&why)),
            Err(HttpError::Refused(why)) => return Err(self.away(&why)),
        };
        let (now, mut memory) = (Instant::now(), self.memory());
        match &offer {
            Some(offer) => memory.found.put(now, path.clone(), offer.clone()),
            None => memory.missing.put(now, path.clone(), ()),
        }
        Ok(offer)
    }

    /// Begins to fetch a nar; none if it is not there any more.
    pub(crate) async fn open(
        &self,
        http: &Http,
        offer: &Offer,
    ) -> Result<Option<Opened>, UpstreamError> {
        let mut failure = None;
        let broken = self.broken(&offer.info.path);
        // Where it broke off, it may not another time: but the others come first.
        let (last, first): (Vec<_>, Vec<_>) = offer
            .sources
            .iter()
            .partition(|(uri, _)| broken.contains(uri));
        for (uri, compression) in first.into_iter().chain(last) {
            self.awake()?;
            let Ok(Some(decoder)) = Decoder::new(compression) else {
                failure = Some(self.away(&format!("there is no memory to read {compression}")));
                continue;
            };
            match http.get(&self.url, uri.clone(), self.answer_time).await {
                Ok(answer) => {
                    self.health.answered();
                    let length = answer.headers().contains_key(CONTENT_LENGTH);
                    let chunked = answer.headers().contains_key(TRANSFER_ENCODING);
                    return Ok(Some(Opened {
                        uri: uri.clone(),
                        framed: length || chunked || answer.version() == Version::HTTP_2,
                        incoming: answer.into_body(),
                        decoder,
                    }));
                }
                Err(HttpError::Missing) => self.health.answered(),
                Err(HttpError::Away(why)) => return Err(self.failed(&why)),
                Err(HttpError::Refused(why)) => failure = Some(self.away(&why)),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// It has given something else for an item.
    pub(crate) fn lied(&self, path: &StorePath, what: String) -> UpstreamError {
        tracing::warn!(server = %self.url, %path, what, "a substitute server lies");
        let server = self.url.to_string();
        let error = UpstreamError::Lied { server, what };
        let mut memory = self.memory();
        memory
            .useless
            .put(Instant::now(), path.clone(), error.clone());
        error
    }

    /// The nar of an item broke off there. The second time at the same place, after all other places, it is not to be
    /// had from this server.
    pub(crate) fn broke(&self, path: &StorePath, uri: &Uri, why: &str) -> UpstreamError {
        tracing::warn!(server = %self.url, %path, why, "a substitute broke off");
        let error = self.away(why);
        let mut places = self.broken(path);
        let (now, mut memory) = (Instant::now(), self.memory());
        if places.contains(uri) {
            memory.broken.forget(path);
            memory.useless.put(now, path.clone(), error.clone());
        } else {
            places.push(uri.clone());
            memory.broken.put(now, path.clone(), places);
        }
        error
    }

    /// Why an item is not to be had from it, if that was seen not long ago.
    pub(crate) fn useless(&self, path: &StorePath) -> Option<UpstreamError> {
        self.memory().useless.get(Instant::now(), path)
    }

    /// Where the nar of an item broke off not long ago.
    pub(crate) fn broken(&self, path: &StorePath) -> Vec<Uri> {
        let places = self.memory().broken.get(Instant::now(), path);
        places.unwrap_or_default()
    }

    /// What it said of an item does not hold any more.
    pub(crate) fn forget(&self, path: &StorePath) {
        self.memory().found.forget(path);
    }

    /// It cannot now.
    pub(crate) fn away(&self, why: &str) -> UpstreamError {
        UpstreamError::Unavailable {
            server: self.url.to_string(),
            why: why.to_owned(),
        }
    }

    /// It did not answer: it is left alone for a while.
    fn failed(&self, why: &str) -> UpstreamError {
        tracing::warn!(server = %self.url, why, "a substitute server does not answer");
        self.health.failed(Instant::now(), why);
        self.away(why)
    }

    fn awake(&self) -> Result<(), UpstreamError> {
        let rests = self.health.rests(Instant::now());
        rests.map_or(Ok(()), |why| Err(self.away(&why)))
    }

    fn known(&self, path: &StorePath) -> Option<Option<Offer>> {
        let (now, memory) = (Instant::now(), self.memory());
        let found = memory.found.get(now, path).map(Some);
        found.or_else(|| memory.missing.get(now, path).map(|()| None))
    }

    /// Whether its items belong in this store: asked once.
    async fn serves(&self, http: &Http, store: &StoreDir) -> Result<bool, UpstreamError> {
        let mut serves = self.serves.lock().await;
        match &*serves {
            Some(Serves::Unsaid(at)) if at.elapsed() > NO_CACHE_INFO_TIME => *serves = None,
            Some(said) => return Ok(said.serves(store)),
            None => {}
        }
        self.awake()?;
        let uri = self
            .url
            .join("nix-cache-info")
            .map_err(|why| self.away(&why))?;
        let said = match http
            .read(&self.url, uri, CACHE_INFO, self.answer_time)
            .await
        {
            Ok(None) => {
                let why = format!("its nix-cache-info has more than {CACHE_INFO} bytes");
                return Err(self.failed(&why));
            }
            Ok(Some(text)) => match store_of_cache_info(&text) {
                Ok(store) => Serves::Store(store),
                Err(why) => return Err(self.failed(&why)),
            },
            Err(HttpError::Missing) => Serves::Unsaid(Instant::now()),
            Err(HttpError::Away(why) | HttpError::Refused(why)) => return Err(self.failed(&why)),
        };
        self.health.answered();
        let answer = said.serves(store);
        if let (false, Serves::Store(other)) = (answer, &said) {
            let other = other.as_str();
            tracing::debug!(server = %self.url, other, "a substitute server of another store");
        }
        *serves = Some(said);
        Ok(answer)
    }

    /// What is to be believed of a narinfo: none if it is not one, is not about the path, or nobody trusted signed it.
    fn judge(&self, text: &[u8], keys: &TrustedKeys, path: &StorePath) -> Option<Offer> {
        let store = path.store();
        let narinfo = match Narinfo::parse(Dialect::of(store), store, text) {
            Ok(narinfo) => narinfo,
            Err(error) => {
                let error = crate::http::with_causes(&error);
                tracing::warn!(server = %self.url, %path, error, "a narinfo is not one");
                return None;
            }
        };
        if let Err(error) = narinfo.about(path) {
            tracing::warn!(server = %self.url, %path, %error, "a narinfo of something else");
            return None;
        }
        if let Err(error) = narinfo.verify(keys) {
            tracing::debug!(server = %self.url, %path, %error, "a narinfo that does not count");
            return None;
        }
        let sources = self.sources(narinfo.sources());
        if sources.is_empty() {
            tracing::warn!(server = %self.url, %path, "a narinfo without a source that can be used");
            return None;
        }
        let dialect = narinfo.dialect();
        let facts = narinfo.into_facts();
        let info = ItemInfo {
            path: facts.path,
            nar_hash: NarHash(facts.nar_sha256),
            nar_size: facts.nar_size,
            references: facts.references.into_iter().collect(),
            // Signatures of Nix do not cover it.
            deriver: facts.deriver.filter(|_| dialect == Dialect::Guix),
        };
        Some(Offer { info, sources })
    }

    /// Those that can be read and may be followed, best first.
    fn sources(&self, sources: &[Source]) -> Vec<(Uri, Compression)> {
        let mut usable = Vec::new();
        for source in sources {
            let rank = Decoder::READABLE
                .iter()
                .position(|one| *one == source.compression);
            match (rank, self.url.nar(&source.url)) {
                (Some(rank), Ok(uri)) => usable.push((rank, uri, source.compression.clone())),
                (None, _) => {}
                (_, Err(why)) => {
                    tracing::warn!(server = %self.url, why, "a nar's URL is not followed")
                }
            }
        }
        usable.sort_by_key(|(rank, ..)| *rank);
        usable
            .into_iter()
            .map(|(_, uri, compression)| (uri, compression))
            .collect()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serves {
    fn serves(&self, asked: &StoreDir) -> bool {
        match self {
            Self::Store(store) => store == asked,
            // Nix takes no server for one that has no `nix-cache-info`.
            Self::Unsaid(_) => Dialect::of(asked) == Dialect::Guix,
        }
    }
}
