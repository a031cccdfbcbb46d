//! What a narinfo says.

use super::{Compression, Error, NarUrl, fields};
use crate::guix::{SecretKey, Signature};
use crate::nix;
use grange_derivation::{Dialect, Hash, StorePath};
use std::collections::BTreeSet;

/// What is known of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The item.
    pub path: StorePath,
    /// The SHA-256 of its nar.
    pub nar_sha256: [u8; 32],
    /// The number of bytes of its nar.
    pub nar_size: u64,
    /// What it refers to, itself if it does.
    pub references: BTreeSet<StorePath>,
    /// The derivation that made it, as far as is known.
    pub deriver: Option<StorePath>,
    /// What it was built for; Guix only, and only some servers say it.
    pub system: Option<String>,
    /// The `CA` of an item whose path follows from its contents; Nix only, kept as it stands.
    pub content_address: Option<String>,
}

impl Facts {
    /// An item without references, deriver and the rest.
    #[must_use]
    pub const fn new(path: StorePath, nar_sha256: [u8; 32], nar_size: u64) -> Self {
        Self {
            path,
            nar_sha256,
            nar_size,
            references: BTreeSet::new(),
            deriver: None,
            system: None,
            content_address: None,
        }
    }

    /// What signatures of Nix are made of.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        nix::fingerprint(
            &self.path,
            &self.nar_sha256,
            self.nar_size,
            &self.references,
        )
    }
}

/// Where a nar can be had. Signatures do not cover it: what comes from there is checked against [`Facts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where.
    pub url: NarUrl,
    /// How it is compressed there.
    pub compression: Compression,
    /// How many bytes come from there, if that is known.
    pub file_size: Option<u64>,
    /// The hash of those bytes, if that is known; Nix only.
    pub file_hash: Option<Hash>,
}

impl Source {
    /// A source of unknown size and hash.
    #[must_use]
    pub const fn new(url: NarUrl, compression: Compression) -> Self {
        Self {
            url,
            compression,
            file_size: None,
            file_hash: None,
        }
    }
}

/// A narinfo, read or to be printed. It does not change, since its signatures would not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narinfo {
    pub(super) facts: Facts,
    pub(super) sources: Vec<Source>,
    pub(super) signatures: Signatures,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signatures {
    Guix(Option<Covering>),
    Nix(Vec<nix::Signature>),
}

/// A signature of Guix and the bytes that it covers, which may be spelled in more than one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Covering {
    /// All before `Signature: `.
    pub(super) text: String,
    /// How many sources stand in `text`: the signatures of old servers cover them.
    pub(super) sources: usize,
    pub(super) host: String,
    /// The S-expression as it came; it may be of an algorithm that is not supported here.
    pub(super) signature: Vec<u8>,
}

impl Narinfo {
    /// The most bytes that [`Narinfo::parse`] looks at: some 10,000 references.
    pub const MAX_SIZE: usize = 1 << 20;

    /// A narinfo as `guix publish` makes it, signed in the name of a host if there is a key.
    ///
    /// # Errors
    /// If the name of the host cannot stand in a signature, another text cannot stand in a line, or there is no source.
    pub fn guix(
        facts: Facts,
        sources: Vec<Source>,
        key: Option<(&SecretKey, &str)>,
    ) -> Result<Self, Error> {
        check(&facts, &sources)?;
        let covering = match key {
            None => None,
            Some((key, host)) => Some(Covering::sign(&facts, key, host)?),
        };
        Ok(Self {
            facts,
            sources,
            signatures: Signatures::Guix(covering),
        })
    }

    /// A narinfo as Nix's binary caches have it, signed with each of the keys: two during a rotation.
    ///
    /// # Errors
    /// If a text cannot stand in a line.
    pub fn nix(facts: Facts, source: Source, keys: &[&nix::SecretKey]) -> Result<Self, Error> {
        let sources = vec![source];
        check(&facts, &sources)?;
        let fingerprint = facts.fingerprint();
        let signatures = keys.iter().map(|key| key.sign(&fingerprint)).collect();
        Ok(Self {
            facts,
            sources,
            signatures: Signatures::Nix(signatures),
        })
    }

    /// Guix's or Nix's.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self.signatures {
            Signatures::Guix(_) => Dialect::Guix,
            Signatures::Nix(_) => Dialect::Nix,
        }
    }

    /// What it says of the item. Nobody vouches for it before [`Narinfo::verify`] does.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Where the nar can be had, in the server's order; those of Nix have one.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Takes the narinfo for its facts.
    #[must_use]
    pub fn into_facts(self) -> Facts {
        self.facts
    }

    /// The signature of Guix, unverified, if there is one and it can be read.
    #[must_use]
    pub fn guix_signature(&self) -> Option<Signature> {
        match &self.signatures {
            Signatures::Guix(covering) => Signature::parse(&covering.as_ref()?.signature).ok(),
            Signatures::Nix(_) => None,
        }
    }

    /// The signatures of Nix, unverified.
    #[must_use]
    pub fn nix_signatures(&self) -> &[nix::Signature] {
        match &self.signatures {
            Signatures::Guix(_) => &[],
            Signatures::Nix(signatures) => signatures,
        }
    }
}

/// Checks that there is a source, and the texts that are free: all others are what their types say.
fn check(facts: &Facts, sources: &[Source]) -> Result<(), Error> {
    if sources.is_empty() {
        return Err(Error::Missing("URL"));
    }
    let compressions = sources
        .iter()
        .map(|source| ("Compression", source.compression.name()));
    let texts = [("System", &facts.system), ("CA", &facts.content_address)];
    let texts = texts
        .iter()
        .filter_map(|(key, text)| Some((*key, text.as_deref()?)));
    for (key, text) in compressions.chain(texts) {
        if fields::short(text).is_err() || text.contains(char::is_control) {
            return Err(Error::Unprintable(key));
        }
    }
    Ok(())
}
