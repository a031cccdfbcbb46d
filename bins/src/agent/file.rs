//! The configuration file of `grange-agent`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use grange_model::{AgentId, Tags};
use serde::Deserialize;

use super::cli::BuilderKind;
use crate::failure;
use crate::upstream::UpstreamSettings;

/// What a configuration file may say. Durations are written like `90s`, `10m`, `2h`. Relative paths are relative to the
/// file. What the defaults are stands in `packaging/agent.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConfigFile {
    /// The coordinator's URL.
    pub coordinator: Option<String>,
    /// The agent's UUID.
    pub uuid: Option<AgentId>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// Where logs and results lie until they are sent.
    pub state_dir: Option<PathBuf>,
    /// What to build for.
    pub systems: Option<Vec<String>>,
    /// What it offers.
    #[serde(default)]
    pub tags: Tags,
    /// Keys of the tags: only builds that require them come here.
    #[serde(default)]
    pub exclusive: Vec<String>,
    /// How many builds run at once.
    pub max_parallel_builds: Option<u32>,
    /// How many builds more are prepared meanwhile.
    pub ahead: Option<u32>,
    /// How much it has of what builds use up: numbers, or sizes.
    #[serde(default)]
    pub resources: Tags,
    /// How fast it builds in comparison with others.
    pub speed: Option<f64>,
    /// Nothing new above this load average.
    pub max_load: Option<f64>,
    /// Nothing new above this percentage of time in which all wait for memory.
    pub max_memory_pressure: Option<f64>,
    /// Nothing new above this percentage of time in which all wait for disks.
    pub max_io_pressure: Option<f64>,
    /// Nothing new above this percentage of time in which somebody waits for a processor.
    pub max_cpu_pressure: Option<f64>,
    /// Nothing new with less free where the store lies.
    pub min_disk_free: Option<String>,
    /// What `NIX_BUILD_CORES` says to builds.
    pub cores: Option<u32>,
    /// CA certificates to trust.
    pub ca: Option<PathBuf>,
    /// Substitute servers of others.
    #[serde(default)]
    pub substitute_urls: Vec<String>,
    /// Substitute servers that have sources of derivations.
    #[serde(default)]
    pub derivation_substitute_urls: Vec<String>,
    /// Whose signatures count there.
    #[serde(default)]
    pub substitute_keys: Vec<String>,
    /// CA certificates to trust there.
    pub substitute_ca: Option<PathBuf>,
    /// How many results are sent at once.
    pub uploads: Option<u32>,
    /// How many results may wait to be sent before no further build is begun.
    pub results: Option<u32>,
    /// How many inputs are fetched at once.
    pub fetches: Option<u32>,
    /// How long an idle agent waits for the coordinator's answer.
    pub wait: Option<String>,
    /// Zstandard's level for outputs.
    pub compression_level: Option<i32>,
    /// Builds that took so long are written through to the disk before they are sent.
    pub durable_after: Option<String>,
    /// Whether outputs are deleted here once the coordinator has them.
    pub delete_outputs: Option<bool>,
    /// How much shall be free where the store lies.
    pub min_free: Option<String>,
    /// Whether it is only logged what would be deleted for that.
    pub min_free_dry_run: Option<bool>,
    /// What builds.
    pub builder: Option<BuilderKind>,
    /// The builders `guix` and `nix`.
    #[serde(default)]
    pub daemon: DaemonSection,
    /// The builder `sandbox`.
    #[serde(default)]
    pub sandbox: SandboxSection,
}

/// The builders `guix` and `nix`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DaemonSection {
    /// Where the daemon listens.
    pub socket: Option<PathBuf>,
    /// What signs imports.
    pub farm_key: Option<PathBuf>,
    /// How many builds run at once at most: not more than the daemon has build users.
    pub build_users: Option<u32>,
    /// Values of `requiredSystemFeatures` to offer.
    pub features: Option<Vec<String>>,
    /// Whether the store is the farm's alone.
    pub exclusive: Option<bool>,
}

/// The builder `sandbox`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SandboxSection {
    /// Where it has its own store.
    pub store: Option<PathBuf>,
    /// What builds see that store as.
    pub store_dir: Option<String>,
    /// What of this machine builds see too.
    pub paths: Option<Vec<PathBuf>>,
    /// Where builds have their temporary files.
    pub build_directory: Option<PathBuf>,
    /// Values of `requiredSystemFeatures` to offer.
    pub features: Option<Vec<String>>,
    /// Certificates that builtin downloads trust.
    pub certificates: Option<PathBuf>,
    /// Bytes of log after which a build is killed.
    pub max_log: Option<u64>,
    /// Bytes of address space of each process.
    pub max_memory: Option<u64>,
    /// Processes and threads of a build.
    pub max_processes: Option<u64>,
    /// Open files of each process.
    pub max_open_files: Option<u64>,
    /// Bytes of any one file.
    pub max_file_size: Option<u64>,
    /// If the agent is root: the first of the users that builds run as.
    pub first_build_uid: Option<u32>,
    /// How many of them there are.
    pub build_uids: Option<u32>,
    /// Values for variables that fixed outputs may name in `impureEnvVars`.
    #[serde(default)]
    pub impure_environment: Tags,
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
        let mut config: Self = toml::from_str(&text).map_err(|error| {
            failure::config(format!(
                "{name}: {}",
                crate::coordinator::toml_error(&error)
            ))
        })?;
        let file = std::path::absolute(file).with_context(|| format!("`{name}` is no path"))?;
        config.make_absolute(file.parent().unwrap_or_else(|| Path::new("/")));
        Ok(config)
    }

    fn make_absolute(&mut self, base: &Path) {
        let sandbox = &mut self.sandbox;
        let paths = [
            &mut self.password_file,
            &mut self.state_dir,
            &mut self.ca,
            &mut self.substitute_ca,
            &mut sandbox.store,
            &mut sandbox.build_directory,
            &mut sandbox.certificates,
        ];
        for path in paths.into_iter().flatten() {
            *path = base.join(&*path);
        }
        UpstreamSettings::make_absolute(&mut self.substitute_keys, base);
    }
}
