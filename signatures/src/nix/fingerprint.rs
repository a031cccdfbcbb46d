//! What signatures are made of.

use grange_derivation::{Hash, StorePath};
use std::collections::BTreeSet;

/// What a signature of Nix is made of: `1;PATH;sha256:BASE32;SIZE;REFERENCE,REFERENCE…`, paths in full.
///
/// Compression, URLs and the deriver are not in it.
#[must_use]
pub fn fingerprint(
    path: &StorePath,
    nar_sha256: &[u8; 32],
    nar_size: u64,
    references: &BTreeSet<StorePath>,
) -> String {
    let hash = Hash::from_sha256(*nar_sha256).to_base32();
    let references: Vec<_> = references.iter().map(StorePath::to_string).collect();
    format!("1;{path};sha256:{hash};{nar_size};{}", references.join(","))
}
