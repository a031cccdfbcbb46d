//! The configuration file of `grange-coordinator`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use crate::failure;
use crate::upstream::UpstreamSettings;

/// What a configuration file may say. Durations are written like `90s`, `10m`, `2h`, `30d`. Relative paths are relative
/// to the file. What the defaults are stands in `packaging/coordinator.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConfigFile {
    /// Where database and artifacts lie unless said otherwise.
    pub state_dir: Option<PathBuf>,
    /// `sqlite:PATH`.
    pub database: Option<String>,
    /// Where nars, sources and logs lie.
    pub artifacts: Option<PathBuf>,
    /// Where agents, and clients with a token, reach it.
    pub listen: Option<Vec<String>>,
    /// Where operators reach it.
    pub admin: Option<String>,
    /// Store directories that derivations may be for.
    pub store_dirs: Option<Vec<String>>,
    /// A file with admin tokens or their hashes.
    pub admin_token_file: Option<PathBuf>,
    /// Where to write down what happens.
    pub record: Option<PathBuf>,
    /// How large that file may get, in bytes.
    pub record_max: Option<u64>,
    /// Certificate and key.
    pub tls: Option<TlsSection>,
    /// What stock clients fetch.
    #[serde(default)]
    pub publish: PublishSection,
    /// What need not be built.
    #[serde(default)]
    pub substitutes: SubstitutesSection,
    /// Who gets what first.
    #[serde(default)]
    pub policy: PolicySection,
    /// How it runs.
    #[serde(default)]
    pub farm: FarmSection,
}

/// Who gets what first.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PolicySection {
    /// What goes first, the first of them before the others: `priority`, `critical-path`. None of them: the oldest.
    pub order: Option<Vec<String>>,
    /// Which of several agents that wait gets a build: `most-room`, `locality` or `speed`.
    pub placement: Option<String>,
    /// Keys of tags whose values name groups that share the agents, from the outermost in.
    pub share: Option<Vec<String>>,
    /// Weights of such groups, by their values with `/` between them.
    #[serde(default)]
    pub weights: BTreeMap<String, u32>,
    /// From this priority on, builds go before all others.
    pub urgent: Option<i32>,
    /// How long such a build waits for room before a running one is dropped for it.
    pub preempt_after: Option<String>,
    /// How many builds may go before a large one that waits for enough memory or something else.
    pub patience: Option<u32>,
}

/// What stock clients fetch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PublishSection {
    /// Where.
    pub listen: Option<Vec<String>>,
    /// What signs for Guix clients.
    pub guix_key: Option<PathBuf>,
    /// What signs for Nix clients.
    pub nix_keys: Option<Vec<PathBuf>>,
    /// In whose name the key of Guix signs.
    pub host: Option<String>,
    /// Which cache Nix clients ask first.
    pub nix_priority: Option<u32>,
    /// Builds with one of these tags, `KEY=VALUE`, are not published.
    pub withhold: Option<Vec<String>>,
    /// In which compressions Guix clients are offered nars.
    pub compression: Option<Vec<String>>,
    /// In which one Nix clients are.
    pub nix_compression: Option<String>,
    /// Where nars lie that were compressed anew.
    pub nar_cache: Option<PathBuf>,
    /// How much room they may take, in bytes.
    pub nar_cache_bytes: Option<u64>,
}

/// What need not be built: others have it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SubstitutesSection {
    /// Servers whose outputs count as built.
    pub urls: Option<Vec<String>>,
    /// Servers that have derivations and their sources.
    pub derivation_urls: Option<Vec<String>>,
    /// Whose signatures count: files, or keys of Nix.
    pub keys: Option<Vec<String>>,
    /// CA certificates to trust there.
    pub ca: Option<PathBuf>,
    /// How long they are asked on behalf of one request.
    pub patience: Option<String>,
}

/// Certificate and key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsSection {
    /// In PEM, then those that lead from it to its CA.
    pub cert: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// How it runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FarmSection {
    /// How long an agent is counted on that is not heard of.
    pub lease: Option<String>,
    /// How long a builder may run where the build does not say.
    pub timeout: Option<String>,
    /// How long a builder may be silent where the build does not say.
    pub max_silent: Option<String>,
    /// How long a failure is remembered.
    pub remember_failures: Option<String>,
    /// How long a cancellation is remembered.
    pub remember_cancels: Option<String>,
    /// How long an agent gets no attempt of a build that it could not begin.
    pub setup_backoff: Option<String>,
    /// How long an agent may have a build beside twice its limit of time.
    pub hold: Option<String>,
    /// The largest log, in bytes.
    pub max_log: Option<u64>,
    /// The largest output as it is sent, in compressed bytes.
    pub max_output: Option<u64>,
    /// The largest derivation, in bytes.
    pub max_derivation: Option<usize>,
    /// How long after its start it first deletes artifacts that no record names.
    pub sweep_after: Option<String>,
    /// How long after that it does so again.
    pub sweep_every: Option<String>,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, is no TOML, or says what is not known here.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let name = file.display();
        let text = std::fs::read_to_string(file).map_err(|error| {
            failure::config(format!("cannot read the configuration {name}: {error}"))
        })?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| failure::config(format!("{name}: {}", one_line(&error))))?;
        let file = std::path::absolute(file).with_context(|| format!("`{name}` is no path"))?;
        config.make_absolute(file.parent().unwrap_or_else(|| Path::new("/")));
        Ok(config)
    }

    fn make_absolute(&mut self, base: &Path) {
        let tls = self
            .tls
            .iter_mut()
            .flat_map(|tls| [&mut tls.cert, &mut tls.key]);
        let others = [
            &mut self.state_dir,
            &mut self.artifacts,
            &mut self.admin_token_file,
            &mut self.record,
            &mut self.publish.guix_key,
            &mut self.publish.nar_cache,
            &mut self.substitutes.ca,
        ];
        let nix_keys = self.publish.nix_keys.iter_mut().flatten();
        for path in others.into_iter().flatten().chain(tls).chain(nix_keys) {
            *path = base.join(&*path);
        }
        let keys = self.substitutes.keys.as_deref_mut().unwrap_or_default();
        UpstreamSettings::make_absolute(keys, base);
    }
}

/// What TOML's errors say, without the excerpt of the file below it.
pub(crate) fn one_line(error: &toml::de::Error) -> String {
    let place = error.to_string();
    let place = place.lines().next().unwrap_or_default().to_owned();
    format!("{} ({place})", error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_settings_are_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("coordinator.toml");
        std::fs::write(&file, "lisen = [\"127.0.0.1:1\"]\n").unwrap();
        let error = ConfigFile::read(&file).unwrap_err().to_string();
        assert!(error.contains("lisen") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("coordinator.toml");
        std::fs::write(
            &file,
            "artifacts = \"a\"\n[tls]\ncert = \"/c\"\nkey = \"k\"\n",
        )
        .unwrap();
        let config = ConfigFile::read(&file).unwrap();
        assert_eq!(config.artifacts, Some(directory.path().join("a")));
        let tls = config.tls.unwrap();
        assert_eq!(
            (tls.cert, tls.key),
            (PathBuf::from("/c"), directory.path().join("k"))
        );
    }
}
