//! Parsing: strict in what it understands, silent about fields that it does not know, as Guix and Nix are.

use super::fields::{self, Line};
use super::model::{Covering, Signatures};
use super::{Compression, Error, Facts, NarUrl, Narinfo, Source, ValueError};
use crate::nix;
use grange_derivation::{Dialect, Hash, StoreDir, StorePath};
use std::collections::BTreeSet;

/// The most `Sig` of a narinfo: each that names a trusted key costs a verification.
const MAX_SIGNATURES: usize = 64;

impl Narinfo {
    /// Reads a narinfo about an item of this store, without verifying it.
    ///
    /// # Errors
    /// If it is none, a field is missing, comes twice or is not good, or stands where Guix's signature does not cover
    /// it. An unknown compression and a URL that leads elsewhere are kept as such: see [`Source`].
    pub fn parse(dialect: Dialect, store: &StoreDir, bytes: &[u8]) -> Result<Self, Error> {
        let (text, lines) = fields::lines(bytes)?;
        let mut parser = Parser {
            dialect,
            store,
            text,
            found: Found::default(),
        };
        for line in lines {
            parser.line(line)?;
        }
        parser.finish()
    }

    /// Checks that it is about the item that was asked for: servers are asked by hash part, and may answer anything.
    ///
    /// # Errors
    /// If it is about another.
    pub fn about(&self, path: &StorePath) -> Result<(), Error> {
        if self.facts.path == *path {
            return Ok(());
        }
        Err(Error::OtherItem {
            found: self.facts.path.to_string(),
        })
    }
}

struct Parser<'a> {
    dialect: Dialect,
    store: &'a StoreDir,
    text: &'a str,
    found: Found,
}

/// What was found so far.
#[derive(Default)]
struct Found {
    path: Option<StorePath>,
    nar_hash: Option<[u8; 32]>,
    nar_size: Option<u64>,
    references: Option<BTreeSet<StorePath>>,
    deriver: Option<Option<StorePath>>,
    system: Option<String>,
    content_address: Option<String>,
    groups: Vec<Group>,
    covering: Option<Covering>,
    signatures: Vec<nix::Signature>,
}

/// A source of which not all may have come.
#[derive(Default)]
struct Group {
    url: Option<NarUrl>,
    compression: Option<Compression>,
    file_size: Option<u64>,
    file_hash: Option<Hash>,
}

impl Parser<'_> {
    fn line(&mut self, line: Line<'_>) -> Result<(), Error> {
        let (dialect, store, value, found) =
            (self.dialect, self.store, line.value, &mut self.found);
        let covered = found.covering.is_none();
        let fact = |key| Field {
            key,
            line: line.number,
            allowed: covered,
        };
        let free = |key| Field {
            allowed: true,
            ..fact(key)
        };
        match (dialect, line.key) {
            (_, "StorePath") => fact("StorePath").set(&mut found.path, fields::path(store, value)),
            (_, "NarHash") => {
                fact("NarHash").set(&mut found.nar_hash, fields::nar_hash(dialect, value))
            }
            (_, "NarSize") => fact("NarSize").set(&mut found.nar_size, fields::size(value, 1)),
            (_, "References") => {
                let references = fields::references(store, value);
                fact("References").set(&mut found.references, references)
            }
            (_, "Deriver") => {
                let deriver = fields::deriver(dialect, store, value);
                fact("Deriver").set(&mut found.deriver, deriver)
            }
            (_, "System") => fact("System").set(&mut found.system, fields::short(value)),
            (Dialect::Nix, "CA") => {
                fact("CA").set(&mut found.content_address, fields::short(value))
            }
            (_, "URL") => free("URL").set(&mut found.group(true).url, fields::url(value)),
            (_, "Compression") => {
                let compression = fields::short(value).map(|name| Compression::from_name(&name));
                free("Compression").set(&mut found.group(false).compression, compression)
            }
            (_, "FileSize") => {
                let size = fields::size(value, 0);
                free("FileSize").set(&mut found.group(false).file_size, size)
            }
            (_, "FileHash") => {
                let hash = fields::file_hash(value);
                free("FileHash").set(&mut found.group(false).file_hash, hash)
            }
            (Dialect::Nix, "Sig") => {
                let signature = nix::Signature::parse(value);
                let signature = free("Sig").good(signature.map_err(ValueError::from))?;
                if found.signatures.len() == MAX_SIGNATURES {
                    let line = line.number;
                    return Err(Error::TooMany { key: "Sig", line });
                }
                found.signatures.push(signature);
                Ok(())
            }
            (Dialect::Guix, "Signature") => {
                let covering = fields::guix_signature(value).map(|(host, signature)| Covering {
                    text: self.text[..line.start].to_owned(),
                    sources: found.groups.len(),
                    host,
                    signature,
                });
                free("Signature").set(&mut found.covering, covering)
            }
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Narinfo, Error> {
        let Found {
            path,
            nar_hash,
            nar_size,
            references,
            deriver,
            system,
            content_address,
            groups,
            covering,
            signatures,
        } = self.found;
        let facts = Facts {
            path: path.ok_or(Error::Missing("StorePath"))?,
            nar_sha256: nar_hash.ok_or(Error::Missing("NarHash"))?,
            nar_size: nar_size.ok_or(Error::Missing("NarSize"))?,
            references: references.ok_or(Error::Missing("References"))?,
            deriver: deriver.flatten(),
            system,
            content_address,
        };
        if groups.is_empty() {
            return Err(Error::Missing("URL"));
        }
        let groups = groups.into_iter().enumerate();
        let sources = groups
            .map(|(at, group)| group.source(self.dialect, at + 1))
            .collect::<Result<_, _>>()?;
        Ok(Narinfo {
            facts,
            sources,
            signatures: match self.dialect {
                Dialect::Guix => Signatures::Guix(covering),
                Dialect::Nix => Signatures::Nix(signatures),
            },
        })
    }
}

/// A field that comes once, in its place.
#[derive(Clone, Copy)]
struct Field {
    key: &'static str,
    line: usize,
    /// Whether the signature covers it, or need not.
    allowed: bool,
}

impl Field {
    fn set<T>(self, slot: &mut Option<T>, value: Result<T, ValueError>) -> Result<(), Error> {
        let Self { key, line, allowed } = self;
        if slot.is_some() {
            return Err(Error::Duplicate { key, line });
        }
        if !allowed {
            return Err(Error::NotCovered { key, line });
        }
        *slot = Some(self.good(value)?);
        Ok(())
    }

    fn good<T>(self, value: Result<T, ValueError>) -> Result<T, Error> {
        let Self { key, line, .. } = self;
        value.map_err(|source| Error::Value { key, line, source })
    }
}

impl Found {
    /// The group that a field belongs to. A URL starts one, unless what stands before it waits for one; in Guix's
    /// dialect a signature ends one, so that it covers all of a group or nothing.
    fn group(&mut self, url: bool) -> &mut Group {
        let first = self
            .covering
            .as_ref()
            .map_or(0, |covering| covering.sources);
        let last = self.groups.get(first..).and_then(<[_]>::last);
        let new = last.is_none_or(|last| url && last.url.is_some() && last.compression.is_some());
        if new {
            self.groups.push(Group::default());
        }
        self.groups
            .last_mut()
            .expect("one was pushed if there was none")
    }
}

impl Group {
    fn source(self, dialect: Dialect, source_number: usize) -> Result<Source, Error> {
        let missing = |key| Error::Incomplete { source_number, key };
        if dialect == Dialect::Nix && source_number > 1 {
            return Err(Error::Several);
        }
        let compression = match (self.compression, dialect) {
            (Some(compression), _) => compression,
            // What Nix takes: its first caches had nothing else.
            (None, Dialect::Nix) => Compression::Bzip2,
            (None, Dialect::Guix) => return Err(missing("Compression")),
        };
        Ok(Source {
            url: self.url.ok_or_else(|| missing("URL"))?,
            compression,
            file_size: self.file_size,
            file_hash: self.file_hash,
        })
    }
}
