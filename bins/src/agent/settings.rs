//! From command line and file to what an agent needs.

use std::path::PathBuf;
use std::time::Duration;

use grange_agent::AgentConfig;
use grange_daemon_protocol::{BuilderConfig, DaemonConfig};
use grange_derivation::StoreDir;
use grange_interfaces::message::Admission;
use grange_model::{Resources, Timestamp};
use grange_sandbox::{ProcessLimits, SandboxConfig, StoreConfig};
use grange_transport_http::CoordinatorUrl;

use super::cli::{BuilderKind, Flags};
use super::file::{ConfigFile, SandboxSection};
use crate::cli::{parse_hundredths, parse_resource, tags};
use crate::connect::{parse_url, read_secret};
use crate::durations::parse_duration;
use crate::failure;
use crate::sizes::parse_size;
use crate::upstream::UpstreamSettings;

/// All that was decided, checked.
#[derive(Debug)]
pub struct Settings {
    /// The coordinator.
    pub coordinator: CoordinatorUrl,
    /// CA certificates to trust; none for the system's.
    pub ca: Option<PathBuf>,
    /// The agent's own.
    pub agent: AgentConfig,
    /// What builds.
    pub builder: BuilderSettings,
    /// Where inputs come from that the coordinator does not have.
    pub upstream: UpstreamSettings,
}

/// What builds, and in which store.
#[derive(Debug)]
pub enum BuilderSettings {
    /// The embedded sandbox.
    Sandbox {
        /// Its store.
        store: StoreConfig,
        /// The sandbox.
        sandbox: SandboxConfig,
    },
    /// A real daemon.
    Daemon {
        /// The daemon; without the key.
        daemon: DaemonConfig,
        /// The file of the key that signs imports, for a guix-daemon.
        farm_key: Option<PathBuf>,
        /// How it builds.
        builder: BuilderConfig,
    },
}

impl Settings {
    /// What flags say, else what their file says, else the defaults.
    ///
    /// # Errors
    ///
    /// The file or a setting is wrong, or one that must be given is not.
    pub fn new(flags: &Flags) -> anyhow::Result<Self> {
        let file = flags
            .config
            .as_deref()
            .map(ConfigFile::read)
            .transpose()?
            .unwrap_or_default();
        let kind = flags.builder.or(file.builder);
        let kind = kind.unwrap_or(BuilderKind::Sandbox);
        let missing = |flag: &str| {
            failure::usage(format!(
                "{flag} must be given, here or in the configuration file"
            ))
        };
        let coordinator = flags
            .coordinator
            .clone()
            .or_else(|| file.coordinator.clone());
        let coordinator = parse_url(&coordinator.ok_or_else(|| missing("--coordinator"))?)?;
        let uuid = flags.uuid.or(file.uuid).ok_or_else(|| missing("--uuid"))?;
        let state_dir = flags.state_dir.clone().or_else(|| file.state_dir.clone());
        let state_dir = state_dir.ok_or_else(|| missing("--state-dir"))?;
        let password = flags
            .password_file
            .clone()
            .or_else(|| file.password_file.clone());
        let password = read_secret(&password.ok_or_else(|| missing("--password-file"))?)?;

        let directory = flags.store.clone().or_else(|| file.sandbox.store.clone());
        let directory = directory.unwrap_or_else(|| state_dir.join("store"));
        let store_dir = match flags.store_dir.as_ref().or(file.sandbox.store_dir.as_ref()) {
            Some(text) => StoreDir::new(text)
                .map_err(|error| failure::config(format!("store directory: {error}")))?,
            None => kind.store_dir(),
        };
        let farm_key = flags.farm_key.clone();
        let farm_key = farm_key.or_else(|| file.daemon.farm_key.clone());
        let farm_key = farm_key.unwrap_or_else(|| state_dir.join("keys/farm.sec"));
        let mut agent = AgentConfig::new(uuid, password, state_dir);
        configure(&mut agent, flags, &file)?;
        let ca = flags.ca.clone().or_else(|| file.ca.clone());
        // What is trusted about the farm says nothing of the servers of others.
        let upstream = flags.substitutes.or_file(UpstreamSettings {
            urls: file.substitute_urls,
            derivation_urls: file.derivation_substitute_urls,
            keys: file.substitute_keys,
            ca: file.substitute_ca,
        });
        let builder = match kind.socket() {
            None => BuilderSettings::Sandbox {
                store: StoreConfig::new(directory, store_dir),
                sandbox: sandbox(flags, file.sandbox)?,
            },
            Some(socket) => {
                let given = flags.daemon_socket.clone().or(file.daemon.socket);
                let mut daemon =
                    DaemonConfig::new(given.unwrap_or_else(|| socket.into()), store_dir);
                daemon.exclusive = file.daemon.exclusive.unwrap_or(daemon.exclusive);
                let mut builder = BuilderConfig::new();
                builder.features = file.daemon.features.unwrap_or(builder.features);
                let users = file.daemon.build_users;
                builder.max_parallel_builds = users.unwrap_or(builder.max_parallel_builds);
                BuilderSettings::Daemon {
                    daemon,
                    farm_key: (kind == BuilderKind::Guix).then_some(farm_key),
                    builder,
                }
            }
        };
        Ok(Self {
            coordinator,
            ca,
            agent,
            builder,
            upstream,
        })
    }
}

fn configure(agent: &mut AgentConfig, flags: &Flags, file: &ConfigFile) -> anyhow::Result<()> {
    agent.systems = Some(flags.systems.clone())
        .filter(|systems| !systems.is_empty())
        .or_else(|| file.systems.clone());
    agent.tags = file.tags.clone();
    agent.tags.extend(tags(&flags.tags));
    agent.exclusive = file
        .exclusive
        .iter()
        .chain(&flags.exclusive)
        .cloned()
        .collect();
    agent.parallel = flags
        .max_parallel_builds
        .or(file.max_parallel_builds)
        .unwrap_or(agent.parallel);
    agent.ahead = flags.ahead.or(file.ahead).unwrap_or(agent.ahead);
    agent.resources = resources(flags, file)?;
    agent.admission = admission(flags, file)?;
    agent.began = flags.began.map(Timestamp);
    let speed = hundredths("speed", flags.speed, file.speed)?;
    agent.speed = speed.map_or(agent.speed, |speed| speed.saturating_mul(10));
    if agent.speed == 0 {
        return Err(failure::config("speed: it must be more than 0"));
    }
    agent.cores = flags.cores.or(file.cores).unwrap_or(agent.cores);
    agent.uploads = file.uploads.unwrap_or(agent.uploads);
    agent.results = file.results.unwrap_or(agent.results);
    agent.fetches = file.fetches.unwrap_or(agent.fetches);
    agent.compression_level = file.compression_level.unwrap_or(agent.compression_level);
    agent.delete_outputs = file.delete_outputs.unwrap_or(agent.delete_outputs);
    let min_free = file.min_free.as_deref().map(parse_size).transpose();
    let min_free = min_free.map_err(|error| failure::config(format!("min-free: {error}")))?;
    agent.min_free = flags.min_free.or(min_free);
    agent.min_free_dry_run = flags.min_free_dry_run || file.min_free_dry_run.unwrap_or_default();
    let durations: [(&str, &Option<String>, &mut Duration); 2] = [
        ("wait", &file.wait, &mut agent.wait),
        (
            "durable-after",
            &file.durable_after,
            &mut agent.durable_after,
        ),
    ];
    for (name, text, place) in durations {
        if let Some(text) = text {
            *place = parse_duration(text)
                .map_err(|error| failure::config(format!("{name}: {error}")))?;
        }
    }
    Ok(())
}

fn resources(flags: &Flags, file: &ConfigFile) -> anyhow::Result<Resources> {
    let named = file.resources.iter().map(|(name, amount)| {
        let pair = format!("{name}={amount}");
        parse_resource(&pair).map_err(|error| failure::config(format!("resources: {error}")))
    });
    let mut all = named.collect::<Result<Vec<_>, _>>()?;
    all.extend(flags.resources.iter().cloned());
    Ok(crate::cli::resources(&all))
}

/// What a flag says, else what the file says.
fn hundredths(name: &str, flag: Option<u32>, number: Option<f64>) -> anyhow::Result<Option<u32>> {
    match (flag, number) {
        (None, Some(number)) => parse_hundredths(&number.to_string())
            .map(Some)
            .map_err(|error| failure::config(format!("{name}: {error}"))),
        (flag, _) => Ok(flag),
    }
}

fn admission(flags: &Flags, file: &ConfigFile) -> anyhow::Result<Admission> {
    let free = file.min_disk_free.as_deref().map(parse_size).transpose();
    let free = free.map_err(|error| failure::config(format!("min-disk-free: {error}")))?;
    Ok(Admission {
        max_load: hundredths("max-load", flags.max_load, file.max_load)?,
        max_cpu_pressure: hundredths(
            "max-cpu-pressure",
            flags.max_cpu_pressure,
            file.max_cpu_pressure,
        )?,
        max_memory_pressure: hundredths(
            "max-memory-pressure",
            flags.max_memory_pressure,
            file.max_memory_pressure,
        )?,
        max_io_pressure: hundredths(
            "max-io-pressure",
            flags.max_io_pressure,
            file.max_io_pressure,
        )?,
        min_disk_free: flags.min_disk_free.or(free),
    })
}

fn sandbox(flags: &Flags, section: SandboxSection) -> anyhow::Result<SandboxConfig> {
    let mut config = SandboxConfig::default();
    let paths = Some(flags.sandbox_paths.clone())
        .filter(|paths| !paths.is_empty())
        .or(section.paths);
    config.sandbox_paths = paths.unwrap_or_default();
    if let Some(path) = config
        .sandbox_paths
        .iter()
        .find(|path| !path.is_absolute() || !path.exists())
    {
        return Err(failure::config(format!(
            "sandbox path {}: it must be absolute and exist",
            path.display()
        )));
    }
    config.build_directory = section.build_directory;
    config.features = section.features.unwrap_or(config.features);
    config.certificates = section.certificates;
    config.max_log_bytes = section.max_log;
    config.first_build_uid = section.first_build_uid.unwrap_or(config.first_build_uid);
    config.build_uids = section.build_uids.unwrap_or(config.build_uids);
    config.impure_environment = section.impure_environment;
    let mut limits = ProcessLimits::default();
    limits.memory_bytes = section.max_memory;
    limits.processes = section.max_processes;
    limits.open_files = section.max_open_files;
    limits.file_bytes = section.max_file_size;
    config.limits = limits;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;
    use std::path::Path;

    const UUID: &str = "01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10";

    #[test]
    fn flags_count_more_than_the_file_and_the_file_more_than_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("agent.toml");
        let text = format!(
            "coordinator = \"http://127.0.0.1:1\"\nuuid = \"{UUID}\"\npassword-file = \"password\"\n\
             state-dir = \"state\"\nmax-load = 12.5\nspeed = 2.5\nahead = 3\nmin-free = \"2G\"\nmax-parallel-builds = 7\nwait = \"5s\"\n\
             [resources]\nmemory = \"64G\"\nlicence = \"2\"\n[tags]\nroom = \"cellar\"\n[sandbox]\nstore-dir = \"/nix/store\"\nmax-open-files = 9\n"
        );
        std::fs::write(&file, text).unwrap();
        std::fs::write(directory.path().join("password"), "secret\n").unwrap();
        let flags = Flags {
            config: Some(file),
            max_parallel_builds: Some(2),
            resources: vec![parse_resource("licence=3").unwrap()],
            ..Flags::default()
        };
        let settings = Settings::new(&flags).unwrap();
        assert_eq!((settings.agent.parallel, settings.agent.ahead), (2, 3));
        assert_eq!(settings.agent.wait, Duration::from_secs(5));
        assert_eq!(settings.agent.password.0, "secret");
        assert_eq!(settings.agent.min_free, Some(2 << 30));
        assert!(!settings.agent.min_free_dry_run);
        assert_eq!(settings.agent.tags["room"], "cellar");
        assert_eq!(settings.agent.resources["memory"], 64 << 30);
        assert_eq!(settings.agent.resources["licence"], 3);
        assert_eq!(settings.agent.admission.max_load, Some(1_250));
        assert_eq!(settings.agent.speed, 2_500);
        let BuilderSettings::Sandbox { store, sandbox } = settings.builder else {
            panic!("the sandbox is the default");
        };
        assert_eq!(store.store_dir, StoreDir::nix());
        assert_eq!(store.directory, directory.path().join("state/store"));
        assert_eq!(sandbox.limits.open_files, Some(9));
    }

    #[test]
    fn daemons_have_places_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let password = directory.path().join("password");
        std::fs::write(&password, "secret\n").unwrap();
        for (kind, store_dir, has_key) in [
            (BuilderKind::Guix, StoreDir::guix(), true),
            (BuilderKind::Nix, StoreDir::nix(), false),
        ] {
            let settings = Settings::new(&Flags {
                coordinator: Some("http://127.0.0.1:1".into()),
                uuid: Some(UUID.parse().unwrap()),
                password_file: Some(password.clone()),
                state_dir: Some("/s".into()),
                builder: Some(kind),
                ..Flags::default()
            });
            let BuilderSettings::Daemon {
                daemon, farm_key, ..
            } = settings.unwrap().builder
            else {
                panic!("it is a daemon");
            };
            assert_eq!(daemon.store_dir, store_dir);
            assert_eq!(Some(&*daemon.socket), kind.socket().map(Path::new));
            assert_eq!(farm_key, has_key.then(|| PathBuf::from("/s/keys/farm.sec")));
        }
    }

    #[test]
    fn the_ca_of_the_farm_is_not_that_of_substitute_servers() {
        let directory = tempfile::tempdir().unwrap();
        let password = directory.path().join("password");
        std::fs::write(&password, "secret\n").unwrap();
        let file = directory.path().join("agent.toml");
        std::fs::write(&file, "substitute-ca = \"others.pem\"\n").unwrap();
        let mut flags = Flags {
            coordinator: Some("https://127.0.0.1:1".into()),
            uuid: Some(UUID.parse().unwrap()),
            password_file: Some(password),
            state_dir: Some("/s".into()),
            ca: Some("/farm.pem".into()),
            ..Flags::default()
        };
        let cas = |flags: &Flags| {
            let settings = Settings::new(flags).unwrap();
            (settings.ca, settings.upstream.ca)
        };
        let farm = Some(PathBuf::from("/farm.pem"));
        assert_eq!(cas(&flags), (farm.clone(), None));
        flags.config = Some(file);
        let others = directory.path().join("others.pem");
        assert_eq!(cas(&flags), (farm.clone(), Some(others)));
        flags.substitutes.substitute_ca = Some("/mine.pem".into());
        assert_eq!(cas(&flags), (farm, Some("/mine.pem".into())));
    }

    #[test]
    fn what_must_be_given_and_what_is_not_there_is_named() {
        let error = Settings::new(&Flags::default()).unwrap_err();
        assert!(error.to_string().contains("--coordinator"), "{error}");
        assert_eq!(failure::exit_of(&error), Exit::Usage);
    }
}
