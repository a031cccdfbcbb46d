//! Collecting a derivation's parts.

use super::{BuilderError, Instantiated};
use crate::derivation::{DerivationHash, FixedOutput};
use crate::{Dialect, Hash, StoreDir, StorePath};
use std::collections::{BTreeMap, BTreeSet};

/// Collects a derivation's parts; [`Builder::instantiate`] checks them and computes the paths.
///
/// Each output's path is put into the environment under the output's name, as Guix and Nix do.
///
/// ```
/// use grange_derivation::{Builder, StoreDir};
///
/// let store = StoreDir::nix();
/// let library = Builder::new(&store, "library", "x86_64-linux", "/bin/sh").output("out").output("static").instantiate()?;
/// let program = Builder::new(&store, "program", "x86_64-linux", "/bin/sh")
///     .input(&library, &["static"])
///     .env("library", library.output("static").map(ToString::to_string).unwrap_or_default())
///     .instantiate()?;
/// assert!(program.path.to_string().ends_with("-program.drv"));
/// # Ok::<(), grange_derivation::BuilderError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing before `instantiate`"]
pub struct Builder {
    pub(super) store: StoreDir,
    pub(super) dialect: Dialect,
    pub(super) name: String,
    pub(super) system: Vec<u8>,
    pub(super) builder: Vec<u8>,
    pub(super) args: Vec<Vec<u8>>,
    pub(super) env: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) sources: BTreeSet<StorePath>,
    pub(super) inputs: BTreeMap<StorePath, (DerivationHash, BTreeSet<String>)>,
    pub(super) outputs: BTreeSet<String>,
    pub(super) fixed: Option<FixedOutput>,
    pub(super) error: Option<BuilderError>,
}

impl Builder {
    /// Starts a derivation with the one output `out`. Its dialect is the store's ([`Dialect::of`]).
    pub fn new(
        store: &StoreDir,
        name: impl Into<String>,
        system: impl Into<Vec<u8>>,
        builder: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            store: store.clone(),
            dialect: Dialect::of(store),
            name: name.into(),
            system: system.into(),
            builder: builder.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            sources: BTreeSet::new(),
            inputs: BTreeMap::new(),
            outputs: BTreeSet::new(),
            fixed: None,
            error: None,
        }
    }

    /// Another dialect than the store's directory suggests.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<Vec<u8>>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Adds a store item that nothing builds.
    pub fn source(mut self, path: StorePath) -> Self {
        self.sources.insert(path);
        self
    }

    /// Adds outputs of a derivation.
    pub fn input(self, derivation: &Instantiated, outputs: &[&str]) -> Self {
        let missing = outputs
            .iter()
            .find(|output| derivation.output(output).is_none())
            .map(|output| BuilderError::NoSuchOutput {
                derivation: derivation.path.clone(),
                output: (*output).to_owned(),
            });
        let mut this = self.input_path(derivation.path.clone(), derivation.hash, outputs);
        this.error = this.error.or(missing);
        this
    }

    /// Adds outputs of a derivation of which only path and hash are known.
    pub fn input_path(mut self, path: StorePath, hash: DerivationHash, outputs: &[&str]) -> Self {
        let (_, used) = self
            .inputs
            .entry(path)
            .or_insert_with(|| (hash, BTreeSet::new()));
        used.extend(outputs.iter().map(|output| (*output).to_owned()));
        self
    }

    /// Adds an output. Without any there is one, `out`; with others `out` is there only if it is added.
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.outputs.insert(name.into());
        self
    }

    /// Makes it a fixed-output derivation: the hash of its output `out` is known, of the file's bytes or (`recursive`)
    /// of its archive.
    pub fn fixed(mut self, recursive: bool, hash: Hash) -> Self {
        self.fixed = Some(FixedOutput { recursive, hash });
        self
    }

    /// Asks for the closure of a store item in a file of the build directory. The item must also be an input.
    pub fn export_references_graph(self, file: &str, path: &StorePath) -> Self {
        self.word("exportReferencesGraph", file)
            .word("exportReferencesGraph", &path.to_string())
    }

    /// Limits what outputs may refer to: store paths and names of outputs. Several calls add up.
    pub fn allowed_references<R: ToString>(self, references: impl IntoIterator<Item = R>) -> Self {
        self.words("allowedReferences", references)
    }

    /// Says what the machine must offer, such as `kvm`. Several calls add up.
    pub fn required_system_features<F: ToString>(
        self,
        features: impl IntoIterator<Item = F>,
    ) -> Self {
        self.words("requiredSystemFeatures", features)
    }

    fn words<W: ToString>(mut self, variable: &str, words: impl IntoIterator<Item = W>) -> Self {
        self.env.entry(variable.into()).or_default();
        words
            .into_iter()
            .fold(self, |this, word| this.word(variable, &word.to_string()))
    }

    fn word(mut self, variable: &str, word: &str) -> Self {
        let value = self.env.entry(variable.into()).or_default();
        if !value.is_empty() {
            value.push(b' ');
        }
        value.extend_from_slice(word.as_bytes());
        self
    }
}
