//! Items, who signs them, and how they are asked for.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use grange_derivation::{Dialect, Hash, StorePath};
use grange_interfaces::{ItemInfo, Upstream, UpstreamError};
use grange_model::NarHash;
use grange_signatures::narinfo::{Compression, Facts, Narinfo, Source};
use grange_signatures::{TrustedKeys, guix, nix};
use grange_upstream::{Config, SubstituteServers};

use crate::fake::{Fake, Reply};

/// The bytes of a nar; too many to show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Nar(pub(crate) Vec<u8>);

impl fmt::Debug for Nar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes, {}",
            self.0.len(),
            Hash::sha256(&self.0).to_base16()
        )
    }
}

impl std::ops::Deref for Nar {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// An item, which is not really an archive: nobody here looks into it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) facts: Facts,
    pub(crate) nar: Nar,
}

impl Item {
    pub(crate) fn new(dialect: Dialect, name: &str, size: usize) -> Self {
        let seed = u32::from(name.as_bytes()[0]);
        let noise = (0..).flat_map(|n: u32| n.wrapping_mul(2_654_435_761 + seed).to_le_bytes());
        let text = b"the same over and over; ".iter().copied().cycle();
        let nar: Vec<u8> = noise
            .take(size / 2)
            .chain(text.take(size - size / 2))
            .collect();
        let path = StorePath::new(&dialect.store_dir(), [name.as_bytes()[0]; 20], name).unwrap();
        let mut facts = Facts::new(path, Hash::sha256(&nar).to_sha256().unwrap(), size as u64);
        let other = |n, name| StorePath::new(&dialect.store_dir(), [n; 20], name).unwrap();
        facts.references = [other(2, "b"), other(1, "a"), facts.path.clone()].into();
        facts.deriver = Some(other(3, "c.drv"));
        Self {
            facts,
            nar: Nar(nar),
        }
    }

    pub(crate) fn guix(name: &str) -> Self {
        Self::new(Dialect::Guix, name, 300_000)
    }

    pub(crate) const fn path(&self) -> &StorePath {
        &self.facts.path
    }

    /// What is to be found of it.
    pub(crate) fn info(&self) -> ItemInfo {
        let dialect = Dialect::of(self.path().store());
        ItemInfo {
            path: self.path().clone(),
            nar_hash: NarHash(self.facts.nar_sha256),
            nar_size: self.facts.nar_size,
            references: self.facts.references.iter().cloned().collect(),
            deriver: self
                .facts
                .deriver
                .clone()
                .filter(|_| dialect == Dialect::Guix),
        }
    }

    /// Where its narinfo is.
    pub(crate) fn at(&self) -> String {
        format!("/{}.narinfo", self.path().hash_part())
    }

    /// Its narinfo, signed, with a source at each of these URLs.
    pub(crate) fn narinfo(&self, sources: &[(&str, Compression)]) -> String {
        self.signed(sources, &secret())
    }

    pub(crate) fn signed(&self, sources: &[(&str, Compression)], key: &guix::SecretKey) -> String {
        let source = |(url, compression): &(&str, Compression)| {
            Source::new(url.parse().unwrap(), compression.clone())
        };
        let sources: Vec<_> = sources.iter().map(source).collect();
        let facts = self.facts.clone();
        let narinfo = match Dialect::of(self.path().store()) {
            Dialect::Guix => Narinfo::guix(facts, sources, Some((key, "h"))),
            Dialect::Nix => Narinfo::nix(facts, sources[0].clone(), &[&nix_secret()]),
        };
        narinfo.unwrap().print()
    }

    /// What a server has that has it, uncompressed.
    pub(crate) fn files(&self) -> Vec<(String, Reply)> {
        self.files_with(Reply::Is(self.nar.to_vec().into()))
    }

    /// The same with another nar.
    pub(crate) fn files_with(&self, nar: Reply) -> Vec<(String, Reply)> {
        vec![
            (
                "/nix-cache-info".to_owned(),
                Reply::Is(cache_info(Dialect::of(self.path().store()))),
            ),
            (
                self.at(),
                Reply::Is(self.narinfo(&[("nar/x", Compression::None)]).into()),
            ),
            ("/nar/x".to_owned(), nar),
        ]
    }
}

pub(crate) fn cache_info(dialect: Dialect) -> Bytes {
    format!(
        "StoreDir: {}\nWantMassQuery: 1\nPriority: 40\n",
        dialect.store_dir().as_str()
    )
    .into()
}

pub(crate) fn secret() -> guix::SecretKey {
    guix::SecretKey::generate(&[7; 32])
}

pub(crate) fn nix_secret() -> nix::SecretKey {
    nix::SecretKey::generate(nix::KeyName::new("test-1").unwrap(), &[7; 32])
}

pub(crate) fn trusted() -> TrustedKeys {
    let mut keys = TrustedKeys::new();
    keys.add_guix(*secret().public());
    keys.add_nix(nix_secret().public());
    keys
}

/// Asks these servers; what is not there is not remembered, and nobody is left alone.
pub(crate) fn config(servers: &[&Fake]) -> Config {
    let urls = servers.iter().map(|server| server.url()).collect();
    let mut config = Config::new(urls, trusted());
    config.missing_time = Duration::ZERO;
    config.back_off = Duration::ZERO;
    config
}

pub(crate) fn client(servers: &[&Fake]) -> SubstituteServers {
    SubstituteServers::new(&config(servers)).unwrap()
}

/// What is found of one item.
pub(crate) async fn find(
    upstream: &dyn Upstream,
    path: &StorePath,
) -> Result<Option<ItemInfo>, UpstreamError> {
    let mut found = upstream.find(std::slice::from_ref(path)).await;
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// All of a nar.
pub(crate) async fn fetch(upstream: &dyn Upstream, info: &ItemInfo) -> Result<Nar, UpstreamError> {
    let body = upstream.nar(info).await?;
    let all: std::io::Result<Vec<Bytes>> = body.try_collect().await;
    match all {
        Ok(pieces) => Ok(Nar(pieces.concat())),
        Err(error) => Err(error
            .get_ref()
            .unwrap()
            .downcast_ref::<UpstreamError>()
            .unwrap()
            .clone()),
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
