//! A coordinator and agents, where a test wants them.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use grange_bins::connect::client_config;
use grange_coordinator::client::Client;
use grange_interfaces::Peer;
use grange_interfaces::message::FactView;
use grange_model::FactNumber;
use grange_sandbox::{Helper, check_support};
use grange_transport_http::HttpEndpoint;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::process::{Process, program};

/// What a shell of the machine needs to run in the sandbox.
const SHELL: [&str; 5] = ["/bin", "/lib", "/lib32", "/lib64", "/usr"];

/// Held by who takes much of the machine: two of them at once would wait for each other.
static HEAVY: Mutex<()> = Mutex::new(());

/// Waits until no other heavy test runs. One that failed keeps nobody out.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    HEAVY.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Whether this machine can build at all; says so if not.
pub(crate) fn can_build() -> bool {
    let agent = PathBuf::from(env!("CARGO_BIN_EXE_grange-agent"));
    match runtime().block_on(check_support(&Helper::Program(agent))) {
        Ok(()) => true,
        Err(error) => {
            println!("skipped: {error}");
            false
        }
    }
}

/// A port of loopback that is free. That it is taken in the meantime is unlikely.
pub(crate) fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Where a coordinator runs, and how.
#[derive(Default)]
pub(crate) struct Setup {
    /// What starts programs where the coordinator shall be.
    pub(crate) inside: Vec<String>,
    /// Where it listens.
    pub(crate) listen: Vec<String>,
    /// Where stock clients fetch.
    pub(crate) publish: Vec<String>,
    /// The lease of agents, as its configuration says it. Default: the coordinator's own.
    pub(crate) lease: Option<&'static str>,
    /// Whether it speaks TLS, for 127.0.0.1.
    pub(crate) tls: bool,
}

/// A coordinator, and the directory in which everything lies.
pub(crate) struct Farm {
    pub(crate) coordinator: Process,
    directory: TempDir,
    admin: String,
}

impl Farm {
    pub(crate) fn new(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let admin = format!("unix:{}", at("admin.sock").display());
        let lease = setup
            .lease
            .map(|lease| format!("[farm]\nlease = \"{lease}\"\n"));
        let mut config = lease.unwrap_or_default();
        if setup.tls {
            make_certificates(directory.path());
            config.push_str("[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n");
        }
        fs::write(at("coordinator.toml"), config).unwrap();
        let mut words = setup.inside;
        words.push(env!("CARGO_BIN_EXE_grange-coordinator").to_owned());
        let paths = [
            ("--config", "coordinator.toml"),
            ("--state-dir", "coordinator"),
        ];
        for (flag, name) in paths {
            words.extend([flag.to_owned(), at(name).display().to_string()]);
        }
        words.extend(["--admin".to_owned(), admin.clone()]);
        for address in setup.listen {
            words.extend(["--listen".to_owned(), address]);
        }
        for address in setup.publish {
            words.extend(["--publish".to_owned(), address]);
        }
        let farm = Self {
            coordinator: Process::start(&words, &at("coordinator.log")),
            directory,
            admin,
        };
        farm.grange(&["agents", "list"]);
        farm
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The certificate to trust, if it speaks TLS.
    pub(crate) fn ca(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    /// An agent that the coordinator knows. `config`: more of its configuration.
    pub(crate) fn agent(
        &self,
        inside: Vec<String>,
        name: &str,
        url: &str,
        config: &str,
    ) -> Process {
        let id = self.grange(&["agent", "new"]);
        let id = id.trim();
        let at = |suffix: &str| self.path().join(format!("{name}{suffix}"));
        fs::write(
            at(".password"),
            self.grange(&["agent", id, "password", "new"]),
        )
        .unwrap();
        fs::write(at(".toml"), config).unwrap();
        let mut words = inside;
        words.push(env!("CARGO_BIN_EXE_grange-agent").to_owned());
        for (flag, suffix) in [
            ("--config", ".toml"),
            ("--password-file", ".password"),
            ("--state-dir", ""),
        ] {
            words.extend([flag.to_owned(), at(suffix).display().to_string()]);
        }
        let more = ["--coordinator", url, "--uuid", id];
        words.extend(more.map(str::to_owned));
        for path in SHELL.iter().filter(|path| Path::new(path).exists()) {
            words.extend(["--sandbox-path".to_owned(), (*path).to_owned()]);
        }
        Process::start(&words, &at(".log"))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_grange"));
        command.args(["--coordinator", &self.admin]).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What `grange` says, which must go well once the coordinator listens.
    pub(crate) fn grange(&self, arguments: &[&str]) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        let mut output = self.run(arguments);
        while output.status.code() == Some(69) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
            output = self.run(arguments);
        }
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// All that happened.
    pub(crate) fn facts(&self) -> Vec<FactView> {
        let config = client_config(None, "network test");
        runtime().block_on(async {
            let endpoint = HttpEndpoint::connect(self.admin.parse().unwrap(), config).unwrap();
            let client = Client::new(Arc::new(endpoint), Peer::Local);
            let (facts, _) = client.facts(Some(FactNumber(0)), 0).await.unwrap();
            facts
        })
    }
}

/// A CA, and what it says of 127.0.0.1.
fn make_certificates(directory: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let cert = cert.signed_by(&key, &ca).unwrap();
    for (name, text) in [
        ("ca.pem", ca.pem()),
        ("cert.pem", cert.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        fs::write(directory.join(name), text).unwrap();
    }
}

/// Waits for something, for a minute or two at most.
#[track_caller]
pub(crate) fn wait_until(what: &str, reached: impl FnMut() -> bool) {
    wait_within(Duration::from_secs(120), what, reached);
}

/// Waits for something, so long at most.
#[track_caller]
pub(crate) fn wait_within(most: Duration, what: &str, mut reached: impl FnMut() -> bool) {
    let end = Instant::now() + most;
    while !reached() {
        assert!(Instant::now() < end, "{what}: it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
