//! From parts to a derivation: checks, paths, text.

use super::{Builder, BuilderError};
use crate::derivation::{DerivationHash, Output, OutputName, PathsError, UnknownInput};
use crate::name::check_name;
use crate::{Derivation, StorePath, derivation_hash};
use std::collections::{BTreeMap, BTreeSet};

type Inputs = BTreeMap<StorePath, (DerivationHash, BTreeSet<OutputName>)>;

/// A derivation with its text, path and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instantiated {
    /// The path of the `.drv`.
    pub path: StorePath,
    /// What it says.
    pub derivation: Derivation,
    /// Its text.
    pub text: Vec<u8>,
    /// What stands for it in its users' hashes.
    pub hash: DerivationHash,
}

impl Instantiated {
    /// The path of an output.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<&StorePath> {
        self.derivation.outputs.get(name).map(|output| &output.path)
    }

    /// The paths of all outputs, by name.
    pub fn outputs(&self) -> impl Iterator<Item = (&OutputName, &StorePath)> {
        self.derivation
            .outputs
            .iter()
            .map(|(name, output)| (name, &output.path))
    }
}

impl Builder {
    /// Computes the paths of the outputs and of the derivation, and prints it.
    ///
    /// # Errors
    /// If the parts do not make a derivation that Guix and Nix would take.
    pub fn instantiate(mut self) -> Result<Instantiated, BuilderError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let name = std::mem::take(&mut self.name);
        let bad_name = |source| BuilderError::Name {
            name: name.clone(),
            source,
        };
        check_name(name.as_bytes()).map_err(bad_name)?;
        let outputs = self.check_outputs()?;
        let hashes = self.check_inputs()?;
        let mut env = std::mem::take(&mut self.env);
        if let Some(output) = outputs
            .iter()
            .find(|output| env.contains_key(output.as_str().as_bytes()))
        {
            return Err(BuilderError::OutputVariable(output.clone()));
        }
        if self.dialect.names_itself_in_environment() {
            for (variable, value) in [
                ("name", name.as_bytes()),
                ("system", &self.system),
                ("builder", &self.builder),
            ] {
                env.entry(variable.into()).or_insert_with(|| value.to_vec());
            }
        }
        // Masking makes nothing of the placeholder but its being there.
        let placeholder = StorePath::new(&self.store, [0; 20], &name).map_err(bad_name)?;
        env.extend(
            outputs
                .iter()
                .map(|output| (output.as_str().into(), Vec::new())),
        );
        let mut derivation = Derivation {
            store: self.store,
            name: name.as_str().into(),
            outputs: outputs
                .into_iter()
                .map(|output| {
                    (
                        output,
                        Output {
                            path: placeholder.clone(),
                            fixed: self.fixed,
                        },
                    )
                })
                .collect(),
            input_derivations: hashes
                .iter()
                .map(|(path, (_, used))| (path.clone(), used.clone()))
                .collect(),
            input_sources: self.sources,
            system: self.system,
            builder: self.builder,
            args: self.args,
            env,
        };
        let lookup = |path: &StorePath| hashes.get(path).map(|(hash, _)| *hash);
        for (output, path) in
            derivation
                .compute_output_paths(lookup)
                .map_err(|error| match error {
                    PathsError::Input(UnknownInput(path)) => BuilderError::NoDerivation(path),
                    PathsError::Name { source, .. } => bad_name(source),
                })?
        {
            derivation
                .env
                .insert(output.as_str().into(), path.to_string().into_bytes());
            derivation.outputs.insert(
                output,
                Output {
                    path,
                    fixed: self.fixed,
                },
            );
        }
        let hash = derivation_hash(&derivation, lookup)
            .map_err(|UnknownInput(path)| BuilderError::NoDerivation(path))?;
        let text = derivation.print();
        let path = derivation.path_of_text(&text).map_err(bad_name)?;
        Ok(Instantiated {
            path,
            derivation,
            text,
            hash,
        })
    }

    fn check_outputs(&self) -> Result<BTreeSet<OutputName>, BuilderError> {
        let parse = |name: &String| {
            OutputName::new(name).map_err(|source| BuilderError::OutputName {
                name: name.clone(),
                source,
            })
        };
        let mut outputs: BTreeSet<_> = self.outputs.iter().map(parse).collect::<Result<_, _>>()?;
        if outputs.is_empty() {
            outputs.insert(OutputName::out());
        }
        if self.fixed.is_some() && !outputs.iter().eq([&OutputName::out()]) {
            return Err(BuilderError::FixedOutputs);
        }
        Ok(outputs)
    }

    fn check_inputs(&self) -> Result<Inputs, BuilderError> {
        if let Some(other) = self
            .sources
            .iter()
            .chain(self.inputs.keys())
            .find(|path| *path.store() != self.store)
        {
            return Err(BuilderError::OtherStore(other.clone()));
        }
        let mut inputs = BTreeMap::new();
        for (path, (hash, used)) in &self.inputs {
            if !path.is_derivation() {
                return Err(BuilderError::NoDerivation(path.clone()));
            }
            if used.is_empty() {
                return Err(BuilderError::NoOutputs(path.clone()));
            }
            let parse = |name: &String| {
                OutputName::new(name).map_err(|source| BuilderError::OutputName {
                    name: name.clone(),
                    source,
                })
            };
            let used = used.iter().map(parse).collect::<Result<_, _>>()?;
            inputs.insert(path.clone(), (*hash, used));
        }
        Ok(inputs)
    }
}
