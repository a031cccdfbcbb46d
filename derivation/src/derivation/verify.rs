//! Whether a derivation's output paths are those that follow from it.

use super::modulo::{DerivationHash, UnknownInput, masked_hash};
use super::{Derivation, OutputName};
use crate::store_path::printable;
use crate::{NameError, StorePath, paths};
use std::collections::BTreeMap;

/// Why a derivation's outputs cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The paths cannot be computed.
    #[error("the output paths cannot be computed")]
    Paths(#[from] PathsError),
    /// An output claims another path than the one that follows from the derivation.
    #[error("output `{output}` claims `{claimed}` but its path is `{computed}`")]
    Path {
        /// The output.
        output: OutputName,
        /// What the derivation says.
        claimed: Box<StorePath>,
        /// What follows from it.
        computed: Box<StorePath>,
    },
    /// The environment does not tell the builder the output's path.
    #[error("environment variable `{output}` is {} but its output's path is `{computed}`", found.as_deref().unwrap_or("missing"))]
    Environment {
        /// The output, and so the variable.
        output: OutputName,
        /// The variable's value, printable, if it is there.
        found: Option<String>,
        /// What it must be.
        computed: Box<StorePath>,
    },
}

/// Why a derivation's output paths cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathsError {
    /// The hash of an input is not known.
    #[error(transparent)]
    Input(#[from] UnknownInput),
    /// The path of an output would have too long a name.
    #[error("output `{output}` cannot have a path")]
    Name {
        /// The output.
        output: OutputName,
        /// What is wrong with the name.
        source: NameError,
    },
}

/// Recomputes the paths of all outputs and compares them with those that the derivation claims, in its outputs and in
/// its environment. `lookup` gives the hashes of its input derivations.
///
/// A daemon does the same when a derivation is added. Without it a derivation could claim any path, and its builder
/// could fill what others trust.
///
/// # Errors
/// If a path differs, or cannot be computed.
pub fn verify_outputs(
    derivation: &Derivation,
    lookup: impl FnMut(&StorePath) -> Option<DerivationHash>,
) -> Result<(), VerifyError> {
    for (output, computed) in derivation.compute_output_paths(lookup)? {
        let claimed = derivation.outputs.get(&output).map(|output| &output.path);
        if let Some(claimed) = claimed.filter(|claimed| **claimed != computed) {
            let (claimed, computed) = (Box::new(claimed.clone()), Box::new(computed));
            return Err(VerifyError::Path {
                output,
                claimed,
                computed,
            });
        }
        let found = derivation.env(output.as_str());
        if found != Some(computed.to_string().as_bytes()) {
            let (found, computed) = (found.map(printable), Box::new(computed));
            return Err(VerifyError::Environment {
                output,
                found,
                computed,
            });
        }
    }
    Ok(())
}

impl Derivation {
    /// The output paths that follow from the rest of the derivation, whatever it claims.
    ///
    /// # Errors
    /// If `lookup` does not know an input, or a name would be too long.
    pub fn compute_output_paths(
        &self,
        lookup: impl FnMut(&StorePath) -> Option<DerivationHash>,
    ) -> Result<BTreeMap<OutputName, StorePath>, PathsError> {
        let named = |output: &OutputName| {
            let output = output.clone();
            move |source| PathsError::Name { output, source }
        };
        if let Some(fixed) = self.fixed_output() {
            let out = OutputName::out();
            let path =
                paths::fixed_output_path(&self.store, &self.name, fixed.recursive, &fixed.hash)
                    .map_err(named(&out))?;
            return Ok(BTreeMap::from([(out, path)]));
        }
        let hash = masked_hash(self, lookup)?;
        let path = |output: &OutputName| {
            paths::output_path(&self.store, &self.name, output, &hash).map_err(named(output))
        };
        self.outputs
            .keys()
            .map(|output| Ok((output.clone(), path(output)?)))
            .collect()
    }
}
