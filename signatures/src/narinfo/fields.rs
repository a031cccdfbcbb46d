//! The lines of a narinfo, and the values in them.

use super::{Error, NarUrl, Narinfo, ValueError};
use data_encoding::BASE64;
use grange_derivation::{Dialect, Hash, HashAlgo, StoreDir, StorePath, base32};
use std::collections::BTreeSet;

/// `KEY: VALUE`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: usize,
    /// Where it starts in the text.
    pub(super) start: usize,
    pub(super) key: &'a str,
    pub(super) value: &'a str,
}

/// Takes a narinfo apart, having checked that it is printable text of sensible size.
pub(super) fn lines(bytes: &[u8]) -> Result<(&str, Vec<Line<'_>>), Error> {
    if bytes.len() > Narinfo::MAX_SIZE {
        return Err(Error::Size(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Error::Utf8(error.valid_up_to()))?;
    let Some(all) = text.strip_suffix('\n') else {
        return Err(Error::Cut);
    };
    let (mut lines, mut start) = (Vec::new(), 0);
    for (at, line) in all.split('\n').enumerate() {
        lines.push(read_line(at + 1, start, line)?);
        start += line.len() + 1;
    }
    Ok((text, lines))
}

fn read_line(number: usize, start: usize, line: &str) -> Result<Line<'_>, Error> {
    if let Some(character) = line.chars().find(|c| c.is_control()) {
        let line = number;
        return Err(Error::Control { line, character });
    }
    let bad = || Error::Line { line: number };
    let (key, rest) = line.split_once(':').ok_or_else(bad)?;
    let value = match rest.strip_prefix(' ') {
        Some(value) => value,
        None if rest.is_empty() => rest,
        None => return Err(bad()),
    };
    if key.is_empty() || key.contains(' ') {
        return Err(bad());
    }
    Ok(Line {
        number,
        start,
        key,
        value,
    })
}

pub(super) fn path(store: &StoreDir, value: &str) -> Result<StorePath, ValueError> {
    Ok(StorePath::parse(store, value)?)
}

pub(super) fn references(store: &StoreDir, value: &str) -> Result<BTreeSet<StorePath>, ValueError> {
    let mut references = BTreeSet::new();
    for base in value.split(' ').filter(|base| !base.is_empty()) {
        if !references.insert(StorePath::from_base_name(store, base)?) {
            return Err(ValueError::Twice(base.to_owned()));
        }
    }
    Ok(references)
}

/// A base name; Nix writes `unknown-deriver` for none.
pub(super) fn deriver(
    dialect: Dialect,
    store: &StoreDir,
    value: &str,
) -> Result<Option<StorePath>, ValueError> {
    if dialect == Dialect::Nix && value == "unknown-deriver" {
        return Ok(None);
    }
    Ok(Some(StorePath::from_base_name(store, value)?))
}

/// Guix writes and reads base 32 alone; Nix reads all notations.
pub(super) fn nar_hash(dialect: Dialect, value: &str) -> Result<[u8; 32], ValueError> {
    let hash = match dialect {
        Dialect::Guix => {
            let digits = value.strip_prefix("sha256:").ok_or(ValueError::HashForm)?;
            if digits.len() != base32::encoded_len(32) {
                return Err(ValueError::HashForm);
            }
            Hash::parse(HashAlgo::Sha256, digits)?
        }
        Dialect::Nix => Hash::parse_any(value)?,
    };
    hash.to_sha256().ok_or(ValueError::HashForm)
}

pub(super) fn file_hash(value: &str) -> Result<Hash, ValueError> {
    Ok(Hash::parse_any(value)?)
}

/// Decimal digits without sign and leading zeros, at most what Guix and Nix can store.
pub(super) fn size(value: &str, least: u64) -> Result<u64, ValueError> {
    let plain = value == "0" || !value.starts_with('0');
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value
        .parse::<u64>()
        .ok()
        .filter(|size| plain && digits && (least..=i64::MAX as u64).contains(size))
        .ok_or_else(|| ValueError::Size(value.chars().take(40).collect(), least))
}

pub(super) fn url(value: &str) -> Result<NarUrl, ValueError> {
    Ok(value.parse()?)
}

/// A word or so that is kept as it stands.
pub(super) fn short(value: &str) -> Result<String, ValueError> {
    const MOST: usize = 255;
    if value.is_empty() || value.len() > MOST {
        return Err(ValueError::Length(MOST));
    }
    Ok(value.to_owned())
}

/// Host and S-expression of `1;HOST;BASE64`.
pub(super) fn guix_signature(value: &str) -> Result<(String, Vec<u8>), ValueError> {
    let signature = || {
        let (host, encoded) = value.strip_prefix("1;")?.split_once(';')?;
        // Guix took the S-expression's bytes for Latin-1 and encoded the text in UTF-8.
        let text = String::from_utf8(BASE64.decode(encoded.as_bytes()).ok()?).ok()?;
        let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
        Some((host.to_owned(), bytes?))
    };
    signature()
        .filter(|(host, _)| super::sign::is_host(host))
        .ok_or(ValueError::GuixSignature)
}
