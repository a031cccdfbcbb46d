//! What stock clients fetch: settings and keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use grange_derivation::{Dialect, StoreDir};
use grange_interfaces::{ArtifactStore, History};
use grange_substitutes::{Bakery, Cache, GuixKey, NarCompression, Substitutes, SubstitutesConfig};
use grange_transport_http::ListenAddress;

use super::cli::Flags;
use super::file::PublishSection;
use super::settings::address;
use crate::cli::parse_key_value;
use crate::failure;
use crate::keys::{SecretKey, next_file, read_or_make};

/// What Nix's own cache has, plus ten: the farm's is asked after it for what both have.
const PRIORITY: u32 = 50;

/// What every Guix reads, and what it reads faster where it can.
const COMPRESSIONS: [NarCompression; 2] = [NarCompression::Zstd, NarCompression::Gzip];

/// Bytes of nars in other compressions than that in which they lie in the farm.
const NAR_CACHE_BYTES: u64 = 10 << 30;

/// Nars that are compressed anew at once.
const BAKERS: usize = 2;

/// What stock clients fetch, if anything.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Where; nowhere if empty.
    pub listen: Vec<ListenAddress>,
    guix_key: PathBuf,
    nix_keys: Vec<PathBuf>,
    host: String,
    priority: u32,
    withheld: Vec<(String, String)>,
    compressions: Vec<NarCompression>,
    nix_compression: NarCompression,
    nar_cache: PathBuf,
    nar_cache_bytes: u64,
    store_dirs: Vec<StoreDir>,
}

impl Publish {
    pub(super) fn new(
        flags: &Flags,
        file: PublishSection,
        state_dir: &Path,
        store_dirs: &[StoreDir],
    ) -> anyhow::Result<Self> {
        let listen = match file.listen {
            Some(texts) if flags.publish.is_empty() => texts
                .iter()
                .map(|text| address("publish.listen", text))
                .collect::<anyhow::Result<_>>()?,
            _ => flags.publish.clone(),
        };
        let keys = state_dir.join("keys");
        let compressions = match file.compression {
            Some(texts) if flags.compressions.is_empty() => texts
                .iter()
                .map(|text| compression("publish.compression", text))
                .collect::<anyhow::Result<_>>()?,
            _ if flags.compressions.is_empty() => COMPRESSIONS.to_vec(),
            _ => flags.compressions.clone(),
        };
        if compressions.is_empty() {
            return Err(failure::config(
                "publish.compression: there must be at least one",
            ));
        }
        let nix_compression = file.nix_compression.as_deref();
        let nix_compression =
            nix_compression.map(|text| compression("publish.nix-compression", text));
        let nix_compression = nix_compression.transpose()?;
        let nix_compression = nix_compression.unwrap_or(NarCompression::Zstd);
        if nix_compression == NarCompression::Lzip {
            return Err(failure::config(
                "publish.nix-compression: Nix does not read lzip",
            ));
        }
        let nix_keys = Some(flags.nix_keys.clone())
            .filter(|keys| !keys.is_empty())
            .or(file.nix_keys);
        let withheld = file.withhold.unwrap_or_default();
        Ok(Self {
            listen,
            guix_key: flags
                .guix_key
                .clone()
                .or(file.guix_key)
                .unwrap_or_else(|| keys.join("guix.sec")),
            nix_keys: nix_keys.unwrap_or_else(|| vec![keys.join("nix.sec")]),
            host: file.host.unwrap_or_else(host_name),
            priority: file.nix_priority.unwrap_or(PRIORITY),
            withheld: withheld
                .iter()
                .map(|text| tag(text))
                .collect::<anyhow::Result<_>>()?,
            compressions,
            nix_compression,
            nar_cache: file
                .nar_cache
                .unwrap_or_else(|| state_dir.join("nar-cache")),
            nar_cache_bytes: file.nar_cache_bytes.unwrap_or(NAR_CACHE_BYTES),
            store_dirs: store_dirs.to_vec(),
        })
    }

    /// The site; keys are read, or made.
    pub(super) fn site(
        &self,
        history: Arc<dyn History>,
        artifacts: Arc<dyn ArtifactStore>,
    ) -> anyhow::Result<Substitutes> {
        let of = |dialect| {
            self.store_dirs
                .iter()
                .find(move |dir| Dialect::of(dir) == dialect)
        };
        let mut caches = Vec::new();
        if let Some(store) = of(Dialect::Guix) {
            caches.push(Cache::Guix {
                store: store.clone(),
                key: Some(GuixKey {
                    key: self.guix_key()?,
                    host: self.host.clone(),
                }),
                compressions: self.compressions.clone(),
            });
        }
        if let Some(store) = of(Dialect::Nix) {
            caches.push(Cache::Nix {
                store: store.clone(),
                keys: self.nix_keys()?,
                priority: self.priority,
                compression: self.nix_compression,
            });
        }
        let mut config = SubstitutesConfig::new(caches);
        config.withheld.clone_from(&self.withheld);
        let bakery = Bakery::open(&self.nar_cache, self.nar_cache_bytes, BAKERS);
        let bakery = bakery.with_context(|| {
            let directory = self.nar_cache.display();
            format!("cannot use {directory} for compressed nars")
        })?;
        config.bakery = Some(bakery);
        Ok(Substitutes::new(history, artifacts, config))
    }

    fn guix_key(&self) -> anyhow::Result<grange_signatures::guix::SecretKey> {
        match read_or_make(&self.guix_key, || Ok(SecretKey::generate_guix()))? {
            SecretKey::Guix(key) => Ok(key),
            SecretKey::Nix(_) => Err(wrong_kind(&self.guix_key, "Nix", "Guix")),
        }
    }

    fn nix_keys(&self) -> anyhow::Result<Vec<grange_signatures::nix::SecretKey>> {
        let name = format!("{}-1", self.host);
        let read = |file: &Path| match read_or_make(file, || SecretKey::generate_nix(&name))? {
            SecretKey::Nix(key) => Ok(key),
            SecretKey::Guix(_) => Err(wrong_kind(file, "Guix", "Nix")),
        };
        let mut keys = Vec::new();
        for file in &self.nix_keys {
            keys.push(read(file)?);
            let next = next_file(file);
            if next.exists() {
                keys.push(read(&next)?);
            }
        }
        Ok(keys)
    }
}

fn wrong_kind(file: &Path, is: &str, wanted: &str) -> anyhow::Error {
    failure::config(format!(
        "the key {} is one of {is}, and {wanted} clients are to be served with it",
        file.display()
    ))
}

fn compression(setting: &str, text: &str) -> anyhow::Result<NarCompression> {
    text.parse()
        .map_err(|error| failure::config(format!("{setting}: {error}")))
}

fn tag(text: &str) -> anyhow::Result<(String, String)> {
    let pair = parse_key_value(text)
        .map_err(|error| failure::config(format!("publish.withhold: {error}")))?;
    Ok((pair.key, pair.value))
}

/// This machine's name, as far as it can stand in a signature.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let name: String = name.trim().chars().filter(plain).collect();
    if name.is_empty() {
        "grange".to_owned()
    } else {
        name
    }
}
