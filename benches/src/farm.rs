//! Coordinator and agent as processes of their own, as users have them.

use std::ffi::{OsStr, OsString};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use grange::Client;
use grange::interfaces::{Peer, Secret};
use grange::model::AgentId;
use grange::transport_http::{ClientConfig, HttpEndpoint};
use tempfile::TempDir;
use uuid::Uuid;

use crate::process::Process;
use crate::trivial::host_paths;

/// The admin token of every farm here.
pub const TOKEN: &str = "a-token-that-nobody-outside-of-this-machine-can-use";

/// A coordinator in a process of its own, with a directory that is removed at the end.
#[derive(Debug)]
pub struct Farm {
    directory: TempDir,
    port: u16,
    flags: Vec<OsString>,
    /// The coordinator; none while it is down.
    pub coordinator: Option<Process>,
    /// Asks over TCP, as an operator.
    pub client: Client,
}

impl Farm {
    /// Starts a coordinator that nobody has used before, and waits until it answers.
    ///
    /// # Errors
    ///
    /// The programs were not built, or the coordinator does not come up.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with([]).await
    }

    /// Starts a coordinator with these flags beside those that every one has here.
    ///
    /// # Errors
    ///
    /// The programs were not built, or the coordinator does not come up.
    pub async fn start_with(flags: impl IntoIterator<Item = OsString>) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("token"), TOKEN)?;
        let port = free_port()?;
        let mut farm = Self {
            client: client(port, Peer::Token(Secret(TOKEN.to_owned())))?,
            directory,
            port,
            flags: flags.into_iter().collect(),
            coordinator: None,
        };
        farm.start_coordinator()?;
        farm.client.hello("grange-benches").await?;
        Ok(farm)
    }

    /// Starts the coordinator's process, and does not wait.
    ///
    /// # Errors
    ///
    /// The programs were not built.
    pub fn start_coordinator(&mut self) -> anyhow::Result<()> {
        let at = self.directory();
        let mut command = Command::new(program("grange-coordinator")?);
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        command
            .arg("--admin")
            .arg(format!("unix:{}", at.join("admin.sock").display()));
        command.arg("--state-dir").arg(at.join("coordinator"));
        command.arg("--admin-token-file").arg(at.join("token"));
        command.args(&self.flags);
        self.coordinator = Some(Process::start(&mut command, &at.join("coordinator.log"))?);
        Ok(())
    }

    /// The coordinator's process id.
    ///
    /// # Errors
    ///
    /// It is down.
    pub fn coordinator_id(&self) -> anyhow::Result<u32> {
        let coordinator = self
            .coordinator
            .as_ref()
            .context("the coordinator is down")?;
        Ok(coordinator.id())
    }

    /// Makes an agent known.
    ///
    /// # Errors
    ///
    /// The coordinator is not reached.
    pub async fn new_agent(&self) -> anyhow::Result<(AgentId, Secret)> {
        let id = AgentId(Uuid::now_v7());
        self.client.new_agent(id, "bench").await?;
        Ok((id, self.client.new_password(id).await?))
    }

    /// Starts an agent with the sandbox builder, one build at a time, in a process of its own.
    ///
    /// # Errors
    ///
    /// The programs were not built, or the coordinator is not reached.
    pub async fn start_agent(&self) -> anyhow::Result<Process> {
        let paths = host_paths();
        let paths = paths.iter().map(|path| path.as_os_str());
        let flags = paths.flat_map(|path| ["--sandbox-path".as_ref(), path]);
        self.start_agent_with(flags).await
    }

    /// Starts an agent with these flags beside those that every agent needs.
    ///
    /// # Errors
    ///
    /// The programs were not built, or the coordinator is not reached.
    pub async fn start_agent_with<'a>(
        &self,
        flags: impl IntoIterator<Item = &'a OsStr>,
    ) -> anyhow::Result<Process> {
        let (id, password) = self.new_agent().await?;
        let at = self.directory();
        let file = at.join("password");
        std::fs::write(&file, password.0)?;
        let mut command = Command::new(program("grange-agent")?);
        command.args(["--coordinator", &self.url(), "--uuid", &id.to_string()]);
        command.arg("--password-file").arg(file);
        command.arg("--state-dir").arg(at.join("agent"));
        command.args(flags);
        Process::start(&mut command, &at.join("agent.log"))
    }

    /// The command `grange`, set up to ask this coordinator, or what listens on `port` instead.
    ///
    /// # Errors
    ///
    /// The programs were not built.
    pub fn grange(&self, port: Option<u16>) -> anyhow::Result<Command> {
        let mut command = Command::new(program("grange")?);
        let port = port.unwrap_or(self.port);
        command.args(["--coordinator", &format!("http://127.0.0.1:{port}")]);
        command
            .arg("--token-file")
            .arg(self.directory().join("token"));
        Ok(command)
    }

    /// A client of its own connections, as `peer`.
    ///
    /// # Errors
    ///
    /// None with these settings.
    pub fn client_as(&self, peer: Peer) -> anyhow::Result<Client> {
        client(self.port, peer)
    }

    /// Where the coordinator listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where all the farm's files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn client(port: u16, peer: Peer) -> anyhow::Result<Client> {
    let url = format!("http://127.0.0.1:{port}").parse()?;
    let endpoint = HttpEndpoint::connect(url, ClientConfig::default())?;
    Ok(Client::new(Arc::new(endpoint), peer).with_patience(Duration::from_secs(30)))
}

/// A TCP port of loopback that nobody uses at the moment.
///
/// # Errors
///
/// There is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// One of Grange's programs: in the directory that `GRANGE_PROGRAMS` names, else where Cargo puts what it builds with
/// the benchmarks' profile.
///
/// # Errors
///
/// It is not there.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let place = match std::env::var_os("GRANGE_PROGRAMS") {
        Some(directory) => PathBuf::from(directory),
        None => {
            let own = std::env::current_exe()?;
            let directory = own.parent().and_then(Path::parent);
            directory
                .context("this program lies in Cargo's target directory")?
                .to_owned()
        }
    };
    let path = place.join(name);
    anyhow::ensure!(
        path.exists(),
        "there is no {}: build it with `cargo build --release -p grange-bins`",
        path.display()
    );
    Ok(path)
}
