//! The environment variables of a derivation that daemons read, not builders.
//!
//! Guix and Nix have the same names and the same notation for them.

use crate::name::check_name;
use crate::store_path::printable;
use crate::{Derivation, OutputName, StorePath, StorePathError};

/// What a derivation asks of whoever builds it. Read by [`Derivation::options`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options<'a> {
    /// `exportReferencesGraph`: files to write into the build directory, each with the closure of a store item.
    pub export_references_graph: Vec<(&'a str, StorePath)>,
    /// `allowedReferences`: all that outputs may refer to.
    pub allowed_references: Option<Vec<Reference>>,
    /// `allowedRequisites`: all that may be in the closure of outputs.
    pub allowed_requisites: Option<Vec<Reference>>,
    /// `disallowedReferences`: what outputs may not refer to.
    pub disallowed_references: Vec<Reference>,
    /// `disallowedRequisites`: what may not be in the closure of outputs.
    pub disallowed_requisites: Vec<Reference>,
    /// `requiredSystemFeatures`: what the building machine must offer, such as `kvm`.
    pub required_system_features: Vec<&'a [u8]>,
    /// `impureEnvVars`: variables that a fixed-output derivation gets from the builder's own environment.
    pub impure_env_vars: Vec<&'a [u8]>,
    /// `preferLocalBuild` (default `false`): sending its inputs elsewhere costs more than building it.
    pub prefer_local_build: bool,
    /// `allowSubstitutes` (default `true`): whether fetching its outputs is worth trying.
    pub allow_substitutes: bool,
    /// `passAsFile`: variables whose value the builder gets in a file, named by the variable with `Path` appended.
    pub pass_as_file: Vec<&'a [u8]>,
    /// `__structuredAttrs` of Nix, seen by the variable `__json`: the environment is in a file. Whoever builds and has
    /// no support for it must refuse.
    pub structured_attrs: bool,
    /// `__noChroot` of Nix (default `false`): it asks to be built outside the sandbox.
    pub no_chroot: bool,
}

/// Something that an output may or may not refer to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// A store item.
    Path(StorePath),
    /// An output of the same derivation.
    Output(OutputName),
}

/// Why an option cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A list of references names something else.
    #[error(
        "`{reference}` in `{variable}` is neither a store path nor an output of the derivation"
    )]
    Reference {
        /// The environment variable.
        variable: &'static str,
        /// The text, printable.
        reference: String,
    },
    /// `exportReferencesGraph` has an odd number of words.
    #[error("`exportReferencesGraph` has a file name without a store path")]
    GraphWithoutPath,
    /// `exportReferencesGraph` names a file that cannot be one.
    #[error("`{0}` in `exportReferencesGraph` is not a file name")]
    GraphFile(String),
    /// `exportReferencesGraph` names something outside the store.
    #[error("`exportReferencesGraph` does not name a store item")]
    GraphPath(#[source] StorePathError),
}

impl Derivation {
    /// Reads the environment variables that are for the daemon.
    ///
    /// # Errors
    /// If one cannot be understood.
    pub fn options(&self) -> Result<Options<'_>, OptionsError> {
        Ok(Options {
            export_references_graph: self.references_graphs()?,
            allowed_references: self.reference_list("allowedReferences")?,
            allowed_requisites: self.reference_list("allowedRequisites")?,
            disallowed_references: self
                .reference_list("disallowedReferences")?
                .unwrap_or_default(),
            disallowed_requisites: self
                .reference_list("disallowedRequisites")?
                .unwrap_or_default(),
            required_system_features: self.words("requiredSystemFeatures"),
            impure_env_vars: self.words("impureEnvVars"),
            prefer_local_build: self.flag("preferLocalBuild", false),
            allow_substitutes: self.flag("allowSubstitutes", true),
            pass_as_file: self.words("passAsFile"),
            structured_attrs: self.env("__json").is_some(),
            no_chroot: self.flag("__noChroot", false),
        })
    }

    /// Both daemons take exactly `1` for yes.
    fn flag(&self, variable: &str, default: bool) -> bool {
        self.env(variable).map_or(default, |value| value == b"1")
    }

    fn words(&self, variable: &str) -> Vec<&[u8]> {
        let separator = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let value = self.env(variable).unwrap_or_default();
        value
            .split(separator)
            .filter(|word| !word.is_empty())
            .collect()
    }

    fn reference_list(
        &self,
        variable: &'static str,
    ) -> Result<Option<Vec<Reference>>, OptionsError> {
        if self.env(variable).is_none() {
            return Ok(None);
        }
        let reference = |word: &[u8]| {
            let output = OutputName::new(word)
                .ok()
                .filter(|output| self.outputs.contains_key(output));
            output
                .map(Reference::Output)
                .or_else(|| {
                    StorePath::parse(&self.store, word)
                        .ok()
                        .map(Reference::Path)
                })
                .ok_or_else(|| OptionsError::Reference {
                    variable,
                    reference: printable(word),
                })
        };
        self.words(variable)
            .into_iter()
            .map(reference)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    fn references_graphs<'a>(&'a self) -> Result<Vec<(&'a str, StorePath)>, OptionsError> {
        let graph = |pair: &[&'a [u8]]| {
            let [file, path] = *pair else {
                return Err(OptionsError::GraphWithoutPath);
            };
            let name = check_name(file).map_err(|_| OptionsError::GraphFile(printable(file)))?;
            let (path, _) =
                StorePath::parse_inside(&self.store, path).map_err(OptionsError::GraphPath)?;
            Ok((name, path))
        };
        self.words("exportReferencesGraph")
            .chunks(2)
            .map(graph)
            .collect()
    }
}
