//! Derivation hashes "modulo fixed outputs": what output paths follow from.
//!
//! If a derivation's hash were that of its text, another mirror for a tarball would change every path that depends
//! on it. So input derivations are replaced by hashes of their own, and a fixed-output derivation's hash is of what
//! it produces, not of how.

use super::{Derivation, OutputName};
use crate::StorePath;
use crate::hash::to_base16;
use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What stands for a derivation in its users' hashes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DerivationHash(pub [u8; 32]);

impl DerivationHash {
    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for DerivationHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<DerivationHash> for [u8; 32] {
    fn from(hash: DerivationHash) -> Self {
        hash.0
    }
}

impl fmt::Display for DerivationHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_base16(&self.0))
    }
}

impl fmt::Debug for DerivationHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An input derivation whose hash is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the hash of the input derivation `{0}` is not known")]
pub struct UnknownInput(pub StorePath);

/// The hash that stands for a derivation in its users' hashes; `lookup` gives those of its input derivations.
///
/// # Errors
/// If `lookup` does not know an input. A fixed-output derivation's inputs are not looked up.
pub fn derivation_hash(
    derivation: &Derivation,
    lookup: impl FnMut(&StorePath) -> Option<DerivationHash>,
) -> Result<DerivationHash, UnknownInput> {
    if let (Some(fixed), Some(output)) = (derivation.fixed_output(), derivation.outputs.get("out"))
    {
        return Ok(DerivationHash(sha256(
            fixed.fingerprint(&output.path).as_bytes(),
        )));
    }
    hash_with_inputs(derivation, lookup, false).map(DerivationHash)
}

/// The hash that a derivation's output paths follow from, which therefore leaves them out; `lookup` gives the hashes
/// of its input derivations. Of no use for a fixed-output derivation.
///
/// # Errors
/// If `lookup` does not know an input.
pub fn masked_hash(
    derivation: &Derivation,
    lookup: impl FnMut(&StorePath) -> Option<DerivationHash>,
) -> Result<[u8; 32], UnknownInput> {
    hash_with_inputs(derivation, lookup, true)
}

fn hash_with_inputs(
    derivation: &Derivation,
    mut lookup: impl FnMut(&StorePath) -> Option<DerivationHash>,
    masked: bool,
) -> Result<[u8; 32], UnknownInput> {
    // Sorted by hash; inputs that stand for the same thing, as two ways to one tarball, become one.
    let mut inputs: BTreeMap<DerivationHash, Cow<'_, BTreeSet<OutputName>>> = BTreeMap::new();
    for (path, outputs) in &derivation.input_derivations {
        let hash = lookup(path).ok_or_else(|| UnknownInput(path.clone()))?;
        match inputs.entry(hash) {
            Entry::Vacant(entry) => {
                entry.insert(Cow::Borrowed(outputs));
            }
            Entry::Occupied(mut entry) => entry.get_mut().to_mut().extend(outputs.iter().cloned()),
        }
    }
    let inputs = inputs.iter().map(|(hash, outputs)| (hash, &**outputs));
    let text = derivation.print_with(
        inputs.map(|(hash, outputs)| {
            (
                |out: &mut Vec<u8>| out.extend_from_slice(to_base16(&hash.0).as_bytes()),
                outputs,
            )
        }),
        masked,
    );
    Ok(sha256(&text))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), bytes)).into()
}
