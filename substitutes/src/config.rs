//! How a cache is set up.

use std::time::Duration;

use grange_derivation::StoreDir;
use grange_signatures::{guix, nix};

use crate::bakery::Bakery;
use crate::compression::NarCompression;

/// A key of Guix's kind, and in whose name it signs.
#[derive(Debug)]
pub struct GuixKey {
    /// The key.
    pub key: guix::SecretKey,
    /// The name of the host that stands in signatures; clients print it and trust the key alone.
    pub host: String,
}

/// One cache root.
#[derive(Debug)]
pub enum Cache {
    /// `/guix/`, for Guix clients. Its narinfos hold one signature.
    Guix {
        /// The store that it is for.
        store: StoreDir,
        /// What signs. Without it narinfos are unsigned, and only clients that take what is bit-identical to a signed
        /// one elsewhere accept them.
        key: Option<GuixKey>,
        /// In which compressions nars are offered; at least one. The client takes the smallest that it can read.
        compressions: Vec<NarCompression>,
    },
    /// `/nix/`, for Nix clients.
    Nix {
        /// The store that it is for.
        store: StoreDir,
        /// What signs: two during a rotation.
        keys: Vec<nix::SecretKey>,
        /// Which cache clients ask first: the one with the least. Nix's own has 40.
        priority: u32,
        /// In which compression nars are offered: Nix knows one of each. lzip it cannot read.
        compression: NarCompression,
    },
}

impl Cache {
    /// The store that it is for.
    #[must_use]
    pub fn store(&self) -> &StoreDir {
        match self {
            Self::Guix { store, .. } | Self::Nix { store, .. } => store,
        }
    }

    pub(crate) fn compressions(&self) -> &[NarCompression] {
        match self {
            Self::Guix { compressions, .. } => compressions,
            Self::Nix { compression, .. } => std::slice::from_ref(compression),
        }
    }

    /// The first part of its paths.
    pub(crate) fn root(&self) -> &'static str {
        match self {
            Self::Guix { .. } => "guix",
            Self::Nix { .. } => "nix",
        }
    }
}

/// How a site of substitutes is set up.
#[derive(Debug)]
#[non_exhaustive]
pub struct SubstitutesConfig {
    /// The caches: at most one of each kind.
    pub caches: Vec<Cache>,
    /// How long clients may remember a narinfo: an hour. Who remembers one of an item that was deleted meanwhile finds
    /// no nar, or that of another build. Guix clients and proxies heed this; Nix clients believe a narinfo for as long
    /// as their own settings say (`narinfo-cache-positive-ttl`, 30 days by default). Nars are asked for again each time.
    pub found_for: Duration,
    /// How long they may remember that there is none: 30 s. What is not built yet may be soon.
    pub missing_for: Duration,
    /// Builds with one of these tags are not published, unless the same was also built without them. Default: none.
    pub withheld: Vec<(String, String)>,
    /// Who makes nars in other compressions than Zstandard. Without it, that is the only one that is offered. Default:
    /// none.
    pub bakery: Option<Bakery>,
}

impl SubstitutesConfig {
    /// These caches, and defaults for the rest.
    #[must_use]
    pub fn new(caches: Vec<Cache>) -> Self {
        Self {
            caches,
            found_for: Duration::from_hours(1),
            missing_for: Duration::from_secs(30),
            withheld: Vec::new(),
            bakery: None,
        }
    }
}
