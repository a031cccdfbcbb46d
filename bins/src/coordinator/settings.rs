//! From command line and file to what a coordinator needs.

use std::error::Error as _;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use grange_coordinator::{
    ByCriticalPath, ByLocality, ByPriority, BySpeed, ByTags, CoordinatorConfig, Order, Policy,
    RecordingFile, Upstreams,
};
use grange_derivation::StoreDir;
use grange_interfaces::{Claim, Datastore};
use grange_store_sqlite::{SqliteDatastore, path_of_uri};
use grange_transport_http::{ListenAddress, Pem, Tls};

use super::cli::Flags;
use super::file::{ConfigFile, FarmSection, PolicySection, SubstitutesSection};
use super::publish::Publish;
use super::read_tokens;
use crate::durations::parse_duration;
use crate::upstream::UpstreamSettings;
use crate::{fail_points, failure, places};

/// Where agents reach a coordinator that is not told otherwise.
const LISTEN: &str = "127.0.0.1:8745";

/// All that was decided, checked.
#[derive(Debug)]
pub struct Settings {
    /// The database.
    pub database: String,
    /// Where nars, sources and logs lie.
    pub artifacts: PathBuf,
    /// Whose outputs count as built.
    pub upstreams: Upstreams,
    /// Where agents, and clients with a token, reach it.
    pub listen: Vec<ListenAddress>,
    /// Where operators reach it.
    pub admin: ListenAddress,
    /// Certificate and key.
    pub tls: Option<Tls>,
    /// How the database is claimed.
    pub claim: Claim,
    /// What stock clients fetch, if anything.
    pub publish: Publish,
    /// Where to write down what happens.
    pub record: Option<PathBuf>,
    /// How large that may get, in bytes.
    pub record_max: u64,
    /// The coordinator's own.
    pub coordinator: CoordinatorConfig,
}

impl Settings {
    /// What flags say, else what their file says, else the defaults.
    ///
    /// # Errors
    ///
    /// The file or a setting is wrong.
    pub fn new(flags: &Flags) -> anyhow::Result<Self> {
        let file = flags
            .config
            .as_deref()
            .map(ConfigFile::read)
            .transpose()?
            .unwrap_or_default();
        let state_dir = flags
            .state_dir
            .clone()
            .or(file.state_dir)
            .unwrap_or_else(places::coordinator_state);
        let default_database = || format!("sqlite:{}", state_dir.join("grange.db").display());
        let listen = match (&flags.listen, file.listen) {
            (flags, _) if !flags.is_empty() => flags.clone(),
            (_, Some(texts)) => texts
                .iter()
                .map(|text| address("listen", text))
                .collect::<anyhow::Result<_>>()?,
            (_, None) => vec![address("listen", LISTEN)?],
        };
        let admin = match (&flags.admin, file.admin) {
            (Some(admin), _) => admin.clone(),
            (None, Some(text)) => address("admin", &text)?,
            (None, None) => ListenAddress::Unix(places::coordinator_socket()),
        };
        let tls = match (&flags.tls_cert, &flags.tls_key, file.tls) {
            (Some(cert), Some(key), _) => Some((cert.clone(), key.clone())),
            (_, _, tls) => tls.map(|tls| (tls.cert, tls.key)),
        };
        let mut coordinator = CoordinatorConfig::default();
        farm(&mut coordinator, &file.farm)?;
        policy(&mut coordinator.policy, file.policy)?;
        let store_dirs = Some(flags.store_dirs.clone())
            .filter(|dirs| !dirs.is_empty())
            .or(file.store_dirs);
        if let Some(dirs) = store_dirs {
            coordinator.store_dirs = dirs
                .iter()
                .map(|dir| store_dir(dir))
                .collect::<anyhow::Result<_>>()?;
        }
        if coordinator.store_dirs.is_empty() {
            return Err(failure::config(
                "there must be at least one store directory",
            ));
        }
        if let Some(file) = flags.admin_token_file.clone().or(file.admin_token_file) {
            coordinator.admin_tokens = read_tokens(&file)?;
        }
        let upstreams = upstreams(&mut coordinator, flags, file.substitutes)?;
        Ok(Self {
            upstreams,
            record: flags.record.clone().or(file.record),
            record_max: flags.record_max.or(file.record_max).unwrap_or(u64::MAX),
            publish: Publish::new(flags, file.publish, &state_dir, &coordinator.store_dirs)?,
            database: flags
                .database
                .clone()
                .or(file.database)
                .unwrap_or_else(default_database),
            artifacts: flags
                .artifacts
                .clone()
                .or(file.artifacts)
                .unwrap_or_else(|| state_dir.join("artifacts")),
            listen,
            admin,
            tls: tls.map(|(cert, key)| Tls {
                cert: Pem::File(cert),
                key: Pem::File(key),
            }),
            claim: if flags.take_over {
                Claim::Force
            } else {
                Claim::Exclusive
            },
            coordinator,
        })
    }
}

/// Opens the database that a URI names, and makes the directory that it lies in.
///
/// # Errors
///
/// The URI is none, or the database cannot be opened.
pub fn open_datastore(uri: &str) -> anyhow::Result<Arc<SqliteDatastore>> {
    let path = path_of_uri(uri).map_err(|error| failure::config(format!("database: {error}")))?;
    make_parent(&path)?;
    let opened = SqliteDatastore::open(&path, fail_points::sqlite_config());
    Ok(Arc::new(opened.with_context(|| {
        format!("cannot open the database {}", path.display())
    })?))
}

/// The same as the trait that a coordinator takes.
pub(super) fn datastore(settings: &Settings) -> anyhow::Result<Arc<dyn Datastore>> {
    Ok(open_datastore(&settings.database)?)
}

/// Opens the file that what happens is written to, if there is to be one.
pub(super) fn open_recording(settings: &Settings) -> anyhow::Result<Option<RecordingFile>> {
    let Some(path) = &settings.record else {
        return Ok(None);
    };
    make_parent(path)?;
    let file = RecordingFile::open(path).map_err(|error| {
        let cause = error
            .source()
            .map_or_else(String::new, |it| format!(": {it}"));
        let path = path.display();
        failure::config(format!("cannot record to {path}: {error}{cause}"))
    })?;
    Ok(Some(file.at_most(settings.record_max)))
}

/// Makes the directory of a file, for its owner alone, if it is not there, and brings its name to the disk: what is
/// durable in a directory is lost with the directory's name.
pub(crate) fn make_parent(path: &Path) -> anyhow::Result<()> {
    let Some(directory) = parent(path) else {
        return Ok(());
    };
    let made = make_directory(directory)
        .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    match sync_name(directory) {
        // Who made it was killed before this, perhaps. Else it is another's, who has seen to that.
        Err(error) if made => Err(anyhow::Error::new(error).context(format!(
            "cannot bring the directory {} to the disk",
            directory.display()
        ))),
        _ => Ok(()),
    }
}

/// Whether it was not there before.
fn make_directory(directory: &Path) -> std::io::Result<bool> {
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o700);
    match (builder.create(directory), parent(directory)) {
        (Ok(()), _) => Ok(true),
        (Err(error), Some(above)) if error.kind() == ErrorKind::NotFound => {
            if make_directory(above)? {
                sync_name(above)?;
            }
            make_directory(directory)
        }
        (Err(error), _) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => {
            Ok(false)
        }
        (Err(error), _) => Err(error),
    }
}

fn sync_name(directory: &Path) -> std::io::Result<()> {
    File::open(parent(directory).unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn parent(path: &Path) -> Option<&Path> {
    path.parent().filter(|it| !it.as_os_str().is_empty())
}

pub(super) fn address(name: &str, text: &str) -> anyhow::Result<ListenAddress> {
    text.parse()
        .map_err(|error| failure::config(format!("{name}: {error}")))
}

fn upstreams(
    config: &mut CoordinatorConfig,
    flags: &Flags,
    file: SubstitutesSection,
) -> anyhow::Result<Upstreams> {
    if let Some(text) = file.patience {
        config.upstream_patience = parse_duration(&text)
            .map_err(|error| failure::config(format!("substitutes.patience: {error}")))?;
    }
    let file = UpstreamSettings {
        urls: file.urls.unwrap_or_default(),
        derivation_urls: file.derivation_urls.unwrap_or_default(),
        keys: file.keys.unwrap_or_default(),
        ca: file.ca,
    };
    flags.substitutes.or_file(file).open()
}

fn store_dir(text: &str) -> anyhow::Result<StoreDir> {
    StoreDir::new(text).map_err(|error| failure::config(format!("store directory: {error}")))
}

fn farm(config: &mut CoordinatorConfig, farm: &FarmSection) -> anyhow::Result<()> {
    let durations: [(&str, &Option<String>, &mut Duration); 9] = [
        ("lease", &farm.lease, &mut config.lease),
        ("timeout", &farm.timeout, &mut config.default_limits.timeout),
        (
            "max-silent",
            &farm.max_silent,
            &mut config.default_limits.max_silent,
        ),
        (
            "remember-failures",
            &farm.remember_failures,
            &mut config.remember_failures,
        ),
        (
            "remember-cancels",
            &farm.remember_cancels,
            &mut config.remember_cancels,
        ),
        (
            "setup-backoff",
            &farm.setup_backoff,
            &mut config.setup_backoff,
        ),
        ("hold", &farm.hold, &mut config.hold),
        ("sweep-after", &farm.sweep_after, &mut config.sweep_after),
        ("sweep-every", &farm.sweep_every, &mut config.sweep_every),
    ];
    for (name, text, place) in durations {
        if let Some(text) = text {
            *place = parse_duration(text)
                .map_err(|error| failure::config(format!("farm.{name}: {error}")))?;
        }
    }
    config.max_log = farm.max_log.unwrap_or(config.max_log);
    config.max_output = farm.max_output.unwrap_or(config.max_output);
    config.max_derivation = farm.max_derivation.unwrap_or(config.max_derivation);
    Ok(())
}

fn policy(policy: &mut Policy, section: PolicySection) -> anyhow::Result<()> {
    if let Some(names) = section.order {
        let orders = names.iter().map(|name| match name.as_str() {
            "priority" => Ok(Arc::new(ByPriority) as Arc<dyn Order>),
            "critical-path" => Ok(Arc::new(ByCriticalPath) as Arc<dyn Order>),
            _ => Err(failure::config(format!(
                "policy.order: `{name}` is unknown; there are priority and critical-path"
            ))),
        });
        policy.order = orders.collect::<anyhow::Result<_>>()?;
    }
    policy.placement = match section.placement.as_deref() {
        None | Some("most-room") => None,
        Some("locality") => Some(Arc::new(ByLocality)),
        Some("speed") => Some(Arc::new(BySpeed)),
        Some(name) => {
            return Err(failure::config(format!(
                "policy.placement: `{name}` is unknown; there are most-room, locality and speed"
            )));
        }
    };
    if let Some(keys) = section.share.filter(|keys| !keys.is_empty()) {
        let weights = section.weights.into_iter().map(|(path, weight)| {
            let values: Vec<_> = path.split('/').map(str::to_owned).collect();
            if values.len() > keys.len() || weight == 0 {
                return Err(failure::config(format!(
                    "policy.weights: `{path}` = {weight}: a weight is at least 1, and of at most as many values as \
                     policy.share has keys"
                )));
            }
            Ok((values, weight))
        });
        let weights = weights.collect::<anyhow::Result<_>>()?;
        policy.share = Some(Arc::new(ByTags { keys, weights }));
    } else if !section.weights.is_empty() {
        return Err(failure::config(
            "policy.weights is given without policy.share",
        ));
    }
    if section.preempt_after.is_some() && section.urgent.is_none() {
        return Err(failure::config(
            "policy.preempt-after is given without policy.urgent",
        ));
    }
    policy.urgent = section.urgent;
    let after = section.preempt_after.as_deref().map(parse_duration);
    policy.preempt_after = after
        .transpose()
        .map_err(|error| failure::config(format!("policy.preempt-after: {error}")))?;
    policy.patience = section.patience.unwrap_or(policy.patience);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_count_more_than_the_file_and_the_file_more_than_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("coordinator.toml");
        let text = "state-dir = \"/x\"\nrecord = \"farm.record\"\nrecord-max = 7\nlisten = [\"127.0.0.1:1\"]\n[farm]\nlease = \"10s\"\nmax-log = 5\nsweep-every = \"2d\"\n[policy]\norder = [\"priority\", \"critical-path\"]\nplacement = \"locality\"\nshare = [\"team\", \"user\"]\nweights = { \"a/b\" = 3 }\nurgent = 9\npreempt-after = \"5s\"\n";
        std::fs::write(&file, text).unwrap();
        let mut flags = Flags {
            config: Some(file),
            ..Flags::default()
        };
        let settings = Settings::new(&flags).unwrap();
        assert_eq!(settings.database, "sqlite:/x/grange.db");
        assert_eq!(settings.artifacts, PathBuf::from("/x/artifacts"));
        assert_eq!(settings.listen, ["127.0.0.1:1".parse().unwrap()]);
        assert_eq!(settings.coordinator.lease, Duration::from_secs(10));
        assert_eq!(settings.coordinator.max_log, 5);
        let policy = &settings.coordinator.policy;
        assert!(policy.share.is_some());
        let placement = policy.placement.as_ref();
        assert!(placement.is_some_and(|it| it.needs_local_bytes()));
        let needs = policy.order.iter().map(|order| order.needs_remaining());
        assert_eq!(needs.collect::<Vec<_>>(), [false, true]);
        assert_eq!((policy.urgent, policy.patience), (Some(9), 32));
        assert_eq!(policy.preempt_after, Some(Duration::from_secs(5)));
        let record = directory.path().join("farm.record");
        assert_eq!((settings.record, settings.record_max), (Some(record), 7));
        assert_eq!(settings.coordinator.sweep_every, Duration::from_hours(48));
        assert_eq!(settings.claim, Claim::Exclusive);

        flags.listen = vec!["[::1]:2".parse().unwrap()];
        flags.state_dir = Some("/y".into());
        flags.record = Some("/z".into());
        flags.store_dirs = vec!["/nix/store".into()];
        let settings = Settings::new(&flags).unwrap();
        assert_eq!(settings.listen, flags.listen);
        assert_eq!(settings.record, flags.record);
        assert_eq!(settings.database, "sqlite:/y/grange.db");
        assert_eq!(settings.coordinator.store_dirs, [StoreDir::nix()]);
    }

    #[test]
    fn wrong_settings_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("coordinator.toml");
        for (text, name) in [
            ("listen = [\"nowhere\"]", "listen"),
            ("admin = \"unix:\"", "admin"),
            ("store-dirs = []", "store directory"),
            ("store-dirs = [\"gnu\"]", "store directory"),
            ("[farm]\ntimeout = \"soon\"", "farm.timeout"),
            ("[substitutes]\nurls = [\"x\"]", "substitute server"),
            ("[substitutes]\npatience = \"long\"", "substitutes.patience"),
            ("[farm]\nsweep-after = \"0s\"", "farm.sweep-after"),
            ("[policy]\nweights = { a = 1 }", "policy.share"),
            ("[policy]\norder = [\"luck\"]", "policy.order: `luck`"),
            ("[policy]\nplacement = \"luck\"", "policy.placement: `luck`"),
            (
                "[policy]\nshare = [\"team\"]\nweights = { \"a/b\" = 1 }",
                "policy.weights",
            ),
            ("[policy]\npreempt-after = \"1s\"", "policy.urgent"),
            ("admin-token-file = \"none\"", "admin tokens"),
            ("[publish]\ncompression = [\"bz2\"]", "publish.compression"),
            (
                "[publish]\nnix-compression = \"bz2\"",
                "publish.nix-compression",
            ),
        ] {
            std::fs::write(&file, text).unwrap();
            let flags = Flags {
                config: Some(file.clone()),
                ..Flags::default()
            };
            let error = Settings::new(&flags).unwrap_err();
            assert!(error.to_string().contains(name), "{text}: {error}");
            assert_eq!(failure::exit_of(&error), failure::Exit::Config, "{text}");
        }
    }
}
