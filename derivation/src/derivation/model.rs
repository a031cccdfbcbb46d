//! What a derivation consists of.

use super::OutputName;
use crate::{Hash, HashAlgo, NameError, StoreDir, StorePath, paths};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A derivation: what a `.drv` says.
///
/// Its fields are public and can say what no `.drv` may; what came out of [`Derivation::parse`] can be printed
/// again byte for byte, and [`verify_outputs`](crate::verify_outputs) checks what parsing cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    /// The store that it is for.
    pub store: StoreDir,
    /// Its name, without `.drv`; not in the text, but what output paths are named after.
    pub name: Arc<str>,
    /// What it produces: at least one output.
    pub outputs: BTreeMap<OutputName, Output>,
    /// The derivations that it needs, with the outputs that it needs of each.
    pub input_derivations: BTreeMap<StorePath, BTreeSet<OutputName>>,
    /// The store items that it needs and that nothing builds.
    pub input_sources: BTreeSet<StorePath>,
    /// The kind of machine, such as `x86_64-linux`.
    pub system: Vec<u8>,
    /// The program, or `builtin:…`.
    pub builder: Vec<u8>,
    /// Its arguments, without argument 0.
    pub args: Vec<Vec<u8>>,
    /// Its environment.
    pub env: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// One output of a derivation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Output {
    /// Where it will lie.
    pub path: StorePath,
    /// What it must contain, if that was known beforehand.
    pub fixed: Option<FixedOutput>,
}

/// The content that an output must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FixedOutput {
    /// Whether the hash is of the output's archive (`r:sha256`) or of the file's bytes (`sha256`).
    pub recursive: bool,
    /// The hash.
    pub hash: Hash,
}

impl FixedOutput {
    /// The hash's algorithm.
    #[must_use]
    pub const fn algo(&self) -> HashAlgo {
        self.hash.algo()
    }

    /// The algorithm as derivations write it: with `r:` in front if recursive.
    #[must_use]
    pub fn method(&self) -> String {
        format!("{}{}", if self.recursive { "r:" } else { "" }, self.algo())
    }
}

impl Derivation {
    /// The content that its output must have, if it is a fixed-output derivation.
    ///
    /// Guix and Nix agree: that takes exactly one output, named `out`.
    #[must_use]
    pub fn fixed_output(&self) -> Option<&FixedOutput> {
        if self.outputs.len() != 1 {
            return None;
        }
        self.outputs
            .get("out")
            .and_then(|output| output.fixed.as_ref())
    }

    /// The store items that its text refers to, in order: sources and input derivations.
    #[must_use]
    pub fn references(&self) -> BTreeSet<StorePath> {
        self.input_sources
            .iter()
            .chain(self.input_derivations.keys())
            .cloned()
            .collect()
    }

    /// Its own store path. Prints it; with its text at hand, [`Derivation::path_of_text`] is cheaper.
    ///
    /// # Errors
    /// If the name is too long.
    pub fn path(&self) -> Result<StorePath, NameError> {
        self.path_of_text(&self.print())
    }

    /// The store path of a text that this derivation was parsed from.
    ///
    /// # Errors
    /// If the name is too long.
    pub fn path_of_text(&self, text: &[u8]) -> Result<StorePath, NameError> {
        let references = self
            .input_sources
            .iter()
            .chain(self.input_derivations.keys());
        let sha256 =
            sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), text))
                .into();
        paths::text_path(
            &self.store,
            &format!("{}.drv", self.name),
            references,
            &sha256,
        )
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&[u8]> {
        self.env.get(name.as_bytes()).map(Vec::as_slice)
    }
}
