//! Narinfos and nars for stock clients: Grange, nginx with the same files, and `guix publish --cache` with the same items.
//!
//! Over loopback in cleartext HTTP/1.1, with 1, 4 and 16 connections that are kept. The servers have one processor, the
//! load generator has another, so that what is compared is what a processor can serve. The servers take turns.
//!
//! nginx is Debian's `nginx-light`, with sendfile, without a log. `guix publish` needs root, and what `cargo xtask verify
//! --install` gets in `target/guix`. What is not there is left out, and said so.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::{StreamExt, stream};
use grange::client::MemorySource;
use grange::daemon_protocol::{DaemonConfig, DaemonStore, FarmKey};
use grange::derivation::{Builder, Dialect, Hash, StoreDir, StorePath, nar, paths};
use grange::interfaces::{ItemInfo, LocalStore as _};
use grange::model::NarHash;
use grange::signatures::guix::SecretKey;
use grange::signatures::narinfo::Narinfo;
use grange_benches::farm::{Farm, free_port};
use grange_benches::load::{Answered, ask, fetch, pin};
use grange_benches::process::Process;
use grange_benches::report::{Goal, beside, figure, line};
use grange_benches::stats::Sample;
use grange_benches::{authorized_key, number, run, trivial};

/// Where the servers run, and where the load generator does.
const SERVERS: usize = 0;
const GENERATOR: usize = 1;

/// Items with a small nar.
const SMALL: usize = 200;
/// Bytes of the large ones, which zstd cannot make smaller.
const LARGE: usize = 32 << 20;

fn main() -> ExitCode {
    run("serve", measure)
}

async fn measure() -> anyhow::Result<()> {
    if std::thread::available_parallelism()?.get() < 2 {
        line("  skipped: it takes two processors");
        return Ok(());
    }
    let rounds = number("rounds", 3)?;
    let seconds = Duration::from_secs(number("seconds", 3)?);
    pin(SERVERS)?;
    let items = Items::make()?;
    let port = free_port()?;
    let flags = ["--publish".into(), format!("127.0.0.1:{port}").into()];
    let farm = Farm::start_with(flags).await?;
    items.submit(&farm).await?;
    let grange = Server::new(
        "grange",
        format!("127.0.0.1:{port}").parse()?,
        "/guix",
        &items,
    )?;
    let directory = tempfile::tempdir()?;
    let mut all = vec![grange];
    let nginx = match Command::new("nginx")
        .arg("-v")
        .stderr(Stdio::null())
        .status()
    {
        Ok(_) => {
            let (process, server) = nginx(directory.path(), &all[0], farm.directory())?;
            all.push(server);
            Some(process)
        }
        Err(_) => {
            line("  nginx: skipped: it is not installed (Debian: nginx-light)");
            None
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guix = if root.join("target/guix/ready").exists() {
        let guix = GuixPublish::start(&root, &items).await?;
        all.push(Server::new(
            "guix publish --cache",
            guix.address,
            "",
            &items,
        )?);
        Some(guix)
    } else {
        line("  guix publish: skipped: `cargo xtask verify --install`, as root, gets a Guix");
        None
    };
    let rate: fn(&Answered) -> f64 = Answered::per_second;
    let mib: fn(&Answered) -> f64 = Answered::mib_per_second;
    for connections in [1, 4, 16] {
        for (what, unit, of) in [("narinfos", "a second", rate), ("nars", "MiB/s", mib)] {
            let mut figures = vec![Vec::new(); all.len()];
            for round in 0..rounds as usize {
                for turn in 0..all.len() {
                    let which = (turn + round) % all.len();
                    let server = &all[which];
                    let paths = if what == "nars" {
                        &server.nars
                    } else {
                        &server.narinfos
                    };
                    let answered =
                        from_other_processor(server.address, paths, connections, seconds)
                            .with_context(|| server.name)?;
                    figures[which].push(of(&answered));
                }
            }
            let medians: Vec<f64> = figures
                .into_iter()
                .map(|it| Sample::new(it).median())
                .collect();
            line(&format!(
                "  {what}, {connections} connections, median of {rounds}:"
            ));
            for (server, median) in all.iter().zip(&medians) {
                beside(server.name, *median, unit);
            }
            for (server, median) in all.iter().zip(&medians).skip(1) {
                let goal = if server.name == "nginx" { 0.8 } else { 10.0 };
                let name = format!("{what}, {connections} connections: to {}", server.name);
                figure(&name, medians[0] / median, "times", Goal::Above(goal));
            }
        }
    }
    if let Some(nginx) = nginx {
        nginx.stop()?;
    }
    drop(guix);
    Ok(())
}

/// Asks from a thread that runs on the generator's processor.
fn from_other_processor(
    server: SocketAddr,
    paths: &[String],
    connections: usize,
    time: Duration,
) -> anyhow::Result<Answered> {
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            pin(GENERATOR)?;
            ask(server, paths, connections, time)
        });
        asking.join().expect("a panic there is one here")
    })
}

/// A server, and what it is asked for.
struct Server {
    name: &'static str,
    address: SocketAddr,
    narinfos: Vec<String>,
    nars: Vec<String>,
}

impl Server {
    /// Learns from its narinfos where its nars are.
    fn new(
        name: &'static str,
        address: SocketAddr,
        root: &str,
        items: &Items,
    ) -> anyhow::Result<Self> {
        let path = |path: &StorePath| format!("{root}/{}.narinfo", path.hash_part());
        let narinfos = items.small.iter().map(|(it, _)| path(it)).collect();
        let (_, text) = fetch(address, &path(&items.large.0))?;
        let narinfo = Narinfo::parse(Dialect::Guix, &StoreDir::guix(), &text)?;
        let url = narinfo.sources()[0].url.relative().context("it is here")?;
        Ok(Self {
            name,
            address,
            narinfos,
            nars: vec![format!("{root}/{url}")],
        })
    }
}

/// Sources, with what they hold.
struct Items {
    small: Vec<(StorePath, Vec<u8>)>,
    large: (StorePath, Vec<u8>),
}

impl Items {
    fn make() -> anyhow::Result<Self> {
        let item = |name: String, contents: Vec<u8>| -> anyhow::Result<(StorePath, Vec<u8>)> {
            let sha256 = Hash::sha256(&nar::of_file(&contents)).to_sha256();
            let sha256 = sha256.context("SHA-256 has 32 bytes")?;
            let path = paths::source_path(&StoreDir::guix(), &name, [], false, &sha256)?;
            Ok((path, contents))
        };
        let small = (0..SMALL).map(|it| item(format!("small-{it}"), vec![b'a'; 4096 + it]));
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        let mut noise = Vec::with_capacity(LARGE);
        while noise.len() < LARGE {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            noise.extend(word.to_le_bytes());
        }
        Ok(Self {
            small: small.collect::<anyhow::Result<_>>()?,
            large: item("large".to_owned(), noise)?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &(StorePath, Vec<u8>)> {
        self.small.iter().chain([&self.large])
    }

    /// Brings them into a farm, as the sources of a derivation that nobody builds.
    async fn submit(&self, farm: &Farm) -> anyhow::Result<()> {
        let mut builder = Builder::new(&StoreDir::guix(), "all", trivial::system(), "/bin/sh");
        let mut source = MemorySource::new();
        for (path, contents) in self.all() {
            builder = builder.source(path.clone());
            source.add_file(path.clone(), contents.clone(), false);
        }
        let all = builder.instantiate()?;
        source.add(&all);
        let requests = vec![trivial::request(&all)];
        farm.client
            .submit(requests, Arc::new(source), &|_| {})
            .await?;
        Ok(())
    }
}

/// nginx with the files that Grange serves; the nars are the very same files, which lie in the page cache once and in the
/// same pieces.
fn nginx(directory: &Path, grange: &Server, artifacts: &Path) -> anyhow::Result<(Process, Server)> {
    let files = directory.join("files");
    for path in grange.narinfos.iter().chain(&grange.nars) {
        let (status, body) = fetch(grange.address, path)?;
        anyhow::ensure!(status == 200, "{path}: {status}");
        let file = files.join(&path[1..]);
        fs::create_dir_all(file.parent().context("it lies in a directory")?)?;
        if grange.nars.contains(path) {
            let blob = Hash::sha256(&body).to_base16();
            let blob = find(artifacts, &blob)?.context("what it serves lies there")?;
            fs::hard_link(blob, file)?;
        } else {
            fs::write(file, body)?;
        }
    }
    let port = free_port()?;
    let at = directory.display();
    let config = directory.join("nginx.conf");
    let text = format!(
        "daemon off; user root; worker_processes 1; pid {at}/nginx.pid; error_log {at}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  open_file_cache max=10000;
  client_body_temp_path {at}/1; proxy_temp_path {at}/2; fastcgi_temp_path {at}/3; uwsgi_temp_path {at}/4; scgi_temp_path {at}/5;
  default_type application/octet-stream;
  types {{ text/x-nix-narinfo narinfo; }}
  server {{ listen 127.0.0.1:{port}; root {at}/files; }}
}}
"
    );
    fs::write(&config, text)?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&config).arg("-p").arg(directory);
    let process = Process::start(&mut command, &directory.join("stderr.log"))?;
    let address = format!("127.0.0.1:{port}").parse()?;
    wait_for(address, &grange.narinfos[0])?;
    let server = Server {
        name: "nginx",
        address,
        narinfos: grange.narinfos.clone(),
        nars: grange.nars.clone(),
    };
    Ok((process, server))
}

/// The file of this name below a directory.
fn find(directory: &Path, name: &str) -> anyhow::Result<Option<PathBuf>> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let found = match entry.file_type()?.is_dir() {
            true => find(&entry.path(), name)?,
            false => (entry.file_name() == name).then(|| entry.path()),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Waits until a server has a page.
fn wait_for(server: SocketAddr, path: &str) -> anyhow::Result<()> {
    for _ in 0..600 {
        if fetch(server, path).is_ok_and(|(status, _)| status == 200) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("{server} does not have {path}")
}

/// `guix publish`, beside a guix-daemon of our own that has the items.
struct GuixPublish {
    address: SocketAddr,
    _directory: tempfile::TempDir,
    _daemon: Process,
    _publish: Process,
}

impl GuixPublish {
    async fn start(root: &Path, items: &Items) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let at = directory.path();
        let (_, secret) = authorized_key(at)?;
        fs::write(at.join("etc/signing-key.pub"), secret.public().to_file())?;
        fs::write(at.join("etc/signing-key.sec"), secret.to_file().expose())?;
        let script = root.join("xtask/guix");
        let mut command = Command::new("sh");
        command.arg(&script).arg("run").arg(at);
        let daemon = Process::start(&mut command, &at.join("daemon.log"))?;
        let socket = at.join("var/daemon-socket/socket");
        for _ in 0..500 {
            if socket.exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self::add(&socket, secret, items).await?;
        let port = free_port()?;
        let mut command = Command::new("sh");
        command.arg(&script).arg("with").arg(at);
        let port_flag = format!("--port={port}");
        command.args(["guix", "publish", "--listen=127.0.0.1", &port_flag]);
        // Everything goes through its cache. Debian's Guix has no zstd; the large item is as large with gzip.
        command.args(["--cache=/var/guix/cache", "--cache-bypass-threshold=0"]);
        command.args(["--compression=gzip:1", "--user=root"]);
        let publish = Process::start(&mut command, &at.join("publish.log"))?;
        let address = format!("127.0.0.1:{port}").parse()?;
        for (path, _) in items.all() {
            wait_for(address, &format!("/{}.narinfo", path.hash_part()))
                .context("guix publish bakes nothing")?;
        }
        Ok(Self {
            address,
            _directory: directory,
            _daemon: daemon,
            _publish: publish,
        })
    }

    async fn add(socket: &PathBuf, secret: SecretKey, items: &Items) -> anyhow::Result<()> {
        let mut config = DaemonConfig::new(socket, StoreDir::guix());
        config.farm_key = Some(FarmKey::Guix(secret));
        let store = DaemonStore::connect(config).await?;
        for (path, contents) in items.all() {
            let archive = nar::of_file(contents);
            let sha256 = Hash::sha256(&archive).to_sha256();
            let info = ItemInfo {
                path: path.clone(),
                nar_hash: NarHash(sha256.context("SHA-256 has 32 bytes")?),
                nar_size: archive.len() as u64,
                references: Vec::new(),
                deriver: None,
            };
            let body = stream::iter([Ok(archive.into())]).boxed();
            store.import(&info, body).await?;
        }
        Ok(())
    }
}
