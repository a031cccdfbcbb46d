//! A real daemon of our own, and farms on it against its own command.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::{StreamExt, stream};
use grange::client::MemorySource;
use grange::daemon_protocol::{DaemonConfig, DaemonStore, FarmKey};
use grange::derivation::{Builder, Dialect, Hash, Instantiated, StorePath, nar, paths};
use grange::interfaces::{ItemInfo, LocalStore as _};
use grange::model::NarHash;
use grange::signatures::guix::{Acl, SecretKey};

use crate::farm::Farm;
use crate::process::Process;
use crate::report::{Goal, figure, line};
use crate::stats::Sample;
use crate::{number, trivial};

/// Derivations are built one at a time by a coordinator in a process of its own and an agent in another on the daemon,
/// until the last build has ended and all outputs lie with the coordinator, verified, where clients can fetch them. Beside
/// it the daemon's own command (`guix build`, `nix-build`), which finds the derivations in the store already and leaves
/// the outputs there. The two take turns; no derivation is built twice. It says so if there is no daemon to run.
///
/// # Errors
///
/// A daemon, farm or build fails.
pub async fn compare(dialect: Dialect) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let real = match dialect {
        Dialect::Guix => root.join("target/guix/ready"),
        Dialect::Nix => PathBuf::from("/usr/bin/nix-daemon"),
    };
    if !real.exists() || !root.join("target/seeds/ready").exists() {
        line("  skipped: `cargo xtask verify --install`, as root, gets daemons and seeds");
        return Ok(());
    }
    let pairs = number("pairs", 15)?;
    let daemon = Daemon::start(&root, dialect).await?;
    let farm = Farm::start().await?;
    let flags = daemon.flags();
    let _agent = farm
        .start_agent_with(flags.iter().map(OsString::as_os_str))
        .await?;
    let warm = daemon.wide("warm", 3)?;
    let mut source = MemorySource::new();
    for one in &warm {
        source.add(one);
    }
    source.add_path(daemon.busybox.clone(), root.join("target/seeds/busybox"));
    let requests = warm.iter().map(trivial::request).collect();
    farm.client
        .submit(requests, Arc::new(source), &|_| {})
        .await?;
    let native = daemon.command[0];
    let shapes = [
        ("wide", Daemon::wide as Shape, 100, 1.2),
        ("a chain", Daemon::chain, 20, 1.5),
    ];
    for (what, shape, count, goal) in shapes {
        let (mut farms, mut others, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..pairs {
            let mut times = [0.0, 0.0];
            for which in [pair % 2, 1 - pair % 2] {
                let label = format!("{}-{which}-{pair}", what.replace(' ', "-"));
                let all = shape(&daemon, &label, count)?;
                let mut begun = Instant::now();
                if which == 0 {
                    trivial::build(&farm.client, &all).await?;
                } else {
                    daemon.add(&all).await?;
                    begun = Instant::now();
                    daemon.build(&all)?;
                }
                times[usize::from(which == 1)] = begun.elapsed().as_secs_f64() * 1e3;
            }
            farms.push(times[0]);
            others.push(times[1]);
            ratios.push(times[0] / times[1]);
        }
        let [farms, others, ratios] = [farms, others, ratios].map(Sample::new);
        line(&format!(
            "  {what} of {count}: {pairs} pairs; least / quartile / median / quartile / greatest"
        ));
        line(&format!("  farm, ms: {}", farms.spread()));
        line(&format!("  baseline, {native}, ms: {}", others.spread()));
        line(&format!("  ratio of each pair: {}", ratios.spread()));
        let what = format!("{what} of {count}: wall time to that of {native}, median of pairs");
        figure(&what, ratios.median(), "times", Goal::Below(goal));
    }
    Ok(())
}

/// So many derivations, with a label in their names.
type Shape = fn(&Daemon, &str, usize) -> anyhow::Result<Vec<Instantiated>>;

/// A daemon of our own.
struct Daemon {
    _process: Process,
    directory: tempfile::TempDir,
    dialect: Dialect,
    script: PathBuf,
    socket: PathBuf,
    /// What a guix-daemon trusts.
    key: Option<PathBuf>,
    /// What builds with it, beside us.
    command: &'static [&'static str],
    store: Arc<DaemonStore>,
    busybox: StorePath,
}

impl Daemon {
    async fn start(root: &Path, dialect: Dialect) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let at = directory.path();
        let (script, socket, command): (_, _, &[&str]) = match dialect {
            Dialect::Guix => (
                "xtask/guix",
                "var/daemon-socket/socket",
                &["guix", "build", "--no-grafts", "--no-substitutes"],
            ),
            Dialect::Nix => (
                "xtask/nix",
                "var/nix/daemon-socket/socket",
                &["nix-build", "--no-out-link"],
            ),
        };
        let (script, socket) = (root.join(script), at.join(socket));
        let key = match dialect {
            Dialect::Guix => Some(authorized_key(at)?),
            Dialect::Nix => None,
        };
        let mut start = Command::new("sh");
        start.arg(&script).arg("run").arg(at);
        let process = Process::start(&mut start, &at.join("daemon.log"))?;
        for _ in 0..500 {
            if socket.exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut config = DaemonConfig::new(&socket, dialect.store_dir());
        let (key, secret) = key.unzip();
        config.farm_key = secret.map(FarmKey::Guix);
        let store = DaemonStore::connect(config).await?;
        let mut archive = Vec::new();
        nar::pack(root.join("target/seeds/busybox"), &mut archive)?;
        let hash = Hash::sha256(&archive);
        let sha256 = hash.to_sha256().context("SHA-256 has 32 bytes")?;
        let busybox = paths::source_path(store.store_dir(), "busybox", [], false, &sha256)?;
        let daemon = Self {
            _process: process,
            directory,
            dialect,
            script,
            socket,
            key,
            command,
            store,
            busybox,
        };
        daemon.import(&daemon.busybox, archive, Vec::new()).await?;
        Ok(daemon)
    }

    /// How an agent is told to build with it.
    fn flags(&self) -> Vec<OsString> {
        let builder = match self.dialect {
            Dialect::Guix => "guix",
            Dialect::Nix => "nix",
        };
        let mut flags = ["--builder", builder, "--daemon-socket"]
            .map(OsString::from)
            .to_vec();
        flags.push(self.socket.clone().into());
        if let Some(key) = &self.key {
            flags.extend(["--farm-key".into(), key.clone().into()]);
        }
        flags
    }

    async fn import(
        &self,
        path: &StorePath,
        archive: Vec<u8>,
        references: Vec<StorePath>,
    ) -> anyhow::Result<()> {
        let sha256 = Hash::sha256(&archive).to_sha256();
        let info = ItemInfo {
            path: path.clone(),
            nar_hash: NarHash(sha256.context("SHA-256 has 32 bytes")?),
            nar_size: archive.len() as u64,
            references,
            deriver: None,
        };
        let body = stream::iter([Ok(archive.into())]).boxed();
        Ok(self.store.import(&info, body).await?)
    }

    fn script(&self, name: String, script: String) -> Builder {
        let program = format!("{}/bin/busybox", self.busybox);
        Builder::new(&self.dialect.store_dir(), name, trivial::system(), program)
            .args(["sh", "-c", &script])
            .source(self.busybox.clone())
    }

    /// Derivations that need nothing of each other.
    fn wide(&self, label: &str, count: usize) -> anyhow::Result<Vec<Instantiated>> {
        let one = |number| {
            let name = format!("{label}-{number}");
            let script = format!("echo {name} > $out");
            Ok(self.script(name, script).instantiate()?)
        };
        (0..count).map(one).collect()
    }

    /// Derivations of which each needs the one before.
    fn chain(&self, label: &str, count: usize) -> anyhow::Result<Vec<Instantiated>> {
        let mut all: Vec<Instantiated> = Vec::new();
        for number in 0..count {
            let name = format!("{label}-{number}");
            let script =
                format!("read line < ${{before:-/dev/null}}; echo \"$line {name}\" > $out");
            let mut builder = self.script(name, script);
            if let Some(before) = all.last() {
                let path = before.output("out").context("it has one")?.to_string();
                builder = builder.input(before, &["out"]).env("before", path);
            }
            all.push(builder.instantiate()?);
        }
        Ok(all)
    }

    /// Puts derivations into the store, inputs first.
    async fn add(&self, all: &[Instantiated]) -> anyhow::Result<()> {
        for one in all {
            let references = one.derivation.references().into_iter().collect();
            self.import(&one.path, nar::of_file(&one.text), references)
                .await?;
        }
        Ok(())
    }

    /// With the daemon's own command.
    fn build(&self, all: &[Instantiated]) -> anyhow::Result<()> {
        let mut command = Command::new("sh");
        command
            .arg(&self.script)
            .arg("with")
            .arg(self.directory.path());
        command.args(self.command);
        command.args(all.iter().map(|one| one.path.to_string()));
        let output = command.stdin(Stdio::null()).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{}: {error}", self.command[0]);
        Ok(())
    }
}

/// Makes a key that the daemon trusts whose directory this is; in which file.
///
/// # Errors
///
/// It cannot be written.
pub fn authorized_key(at: &Path) -> anyhow::Result<(PathBuf, SecretKey)> {
    let mut random = [0; 32];
    random[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    random[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    let secret = SecretKey::generate(&random);
    let mut trusted = Acl::new();
    trusted.authorize(secret.public());
    std::fs::create_dir_all(at.join("etc"))?;
    std::fs::write(at.join("etc/acl"), trusted.to_file())?;
    let key = at.join("farm.sec");
    std::fs::write(&key, secret.to_file().expose())?;
    Ok((key, secret))
}
