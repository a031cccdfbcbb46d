//! What the builder's environment says, and the files that go with it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use grange_derivation::{Derivation, Dialect, Hash, Options, StorePath};

use crate::dialect;
use crate::store::{Missing, SandboxStore};

/// Variables and files of one build.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub variables: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Files of the build directory.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Why a derivation's environment could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvironmentError {
    #[error("{}, of which `exportReferencesGraph` asks the closure, is not valid here", .0.0.first().map(ToString::to_string).unwrap_or_default())]
    Missing(Missing),
    #[error("{0}, which is in an exported closure, cannot be read as a derivation: {1}")]
    Derivation(StorePath, String),
}

impl Environment {
    /// The environment of `derivation`, whose build directory the builder sees as `directory`.
    ///
    /// The order is that of both daemons: what they set first, a derivation may change; what they set last, not.
    pub(crate) fn of(
        derivation: &Derivation,
        dialect: Dialect,
        options: &Options<'_>,
        directory: &str,
        cores: u32,
        impure: &BTreeMap<String, String>,
    ) -> Self {
        let mut this = Self::default();
        this.set("PATH", "/path-not-set");
        this.set("HOME", "/homeless-shelter");
        this.set("NIX_STORE", derivation.store.as_str());
        this.set("NIX_BUILD_CORES", &cores.to_string());
        for (name, value) in &derivation.env {
            if dialect::passes_as_file(dialect) && options.pass_as_file.contains(&name.as_slice()) {
                this.pass_as_file(name, value, directory);
            } else {
                this.variables.insert(name.clone(), value.clone());
            }
        }
        for name in ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"] {
            this.set(name, directory);
        }
        if derivation.fixed_output().is_some() {
            if let Some(name) = dialect::checked_variable(dialect) {
                this.set(name, "1");
            }
            for name in &options.impure_env_vars {
                let value = std::str::from_utf8(name)
                    .ok()
                    .and_then(|name| impure.get(name));
                let value = value
                    .map(|value| value.as_bytes().to_vec())
                    .unwrap_or_default();
                this.variables.insert(name.to_vec(), value);
            }
        }
        for (name, value) in dialect::fixed_variables(dialect) {
            this.set(name, value);
        }
        this
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.into(), value.into());
    }

    /// Nix names the file after the hash of the variable's name, so that the build sees the same name everywhere.
    fn pass_as_file(&mut self, name: &[u8], value: &[u8], directory: &str) {
        let file = format!(".attr-{}", Hash::sha256(name).to_base32());
        let variable = [name, b"Path"].concat();
        self.variables
            .insert(variable, format!("{directory}/{file}").into_bytes());
        self.files.push((file, value.to_vec()));
    }

    /// Adds the files that `exportReferencesGraph` asks for. Blocks.
    pub(crate) fn add_graphs(
        &mut self,
        store: &SandboxStore,
        options: &Options<'_>,
    ) -> Result<(), EnvironmentError> {
        for (file, path) in &options.export_references_graph {
            self.files.push(((*file).to_owned(), graph(store, path)?));
        }
        Ok(())
    }

    /// Writes the files, as the user that the build runs as or for it.
    pub(crate) fn write_files(
        &self,
        directory: &Path,
        owner: Option<crate::plan::Ids>,
    ) -> io::Result<()> {
        for (name, contents) in &self.files {
            let file = directory.join(name);
            fs::write(&file, contents)?;
            if let Some(ids) = owner {
                std::os::unix::fs::chown(&file, Some(ids.uid), Some(ids.gid))?;
            }
        }
        Ok(())
    }

    /// `NAME=VALUE` of each variable.
    pub(crate) fn to_texts(&self) -> Vec<Vec<u8>> {
        self.variables
            .iter()
            .map(|(name, value)| [name.as_slice(), b"=", value].concat())
            .collect()
    }
}

/// The closure of an item in the form of `nix-store --register-validity`: path, deriver (always empty here), number of
/// references, references, each on its line. Where there are derivations in the closure, the closures of their outputs
/// are in it too.
fn graph(store: &SandboxStore, root: &StorePath) -> Result<Vec<u8>, EnvironmentError> {
    let mut closure = store
        .closure([root.clone()])
        .map_err(EnvironmentError::Missing)?;
    let derivations: Vec<_> = closure
        .iter()
        .filter(|path| path.is_derivation())
        .cloned()
        .collect();
    for path in derivations {
        let outputs = outputs_of(store, &path)
            .map_err(|what| EnvironmentError::Derivation(path.clone(), what))?;
        closure.extend(store.closure(outputs).map_err(EnvironmentError::Missing)?);
    }
    let mut text = String::new();
    for path in &closure {
        let info = store
            .info(path)
            .ok_or_else(|| EnvironmentError::Missing(Missing(vec![path.clone()])))?;
        text.push_str(&format!("{path}\n\n{}\n", info.references.len()));
        for reference in &info.references {
            text.push_str(&format!("{reference}\n"));
        }
    }
    Ok(text.into_bytes())
}

fn outputs_of(store: &SandboxStore, path: &StorePath) -> Result<Vec<StorePath>, String> {
    let file = store.real_path(path).ok_or("it is not valid")?;
    let text = fs::read(file).map_err(|error| error.to_string())?;
    let name = path
        .derivation_name()
        .ok_or("its name does not end in .drv")?;
    let derivation =
        Derivation::parse(path.store(), name, &text).map_err(|error| error.to_string())?;
    Ok(derivation
        .outputs
        .values()
        .map(|output| output.path.clone())
        .collect())
}
