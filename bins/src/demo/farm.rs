//! The demo's farm: a coordinator, HTTP on loopback, two agents.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use grange_agent::AgentConfig;
use grange_artifacts_dir::ArtifactsDir;
use grange_coordinator::client::Client;
use grange_coordinator::{
    Coordinator, CoordinatorConfig, MissingInputs, Parts, SystemClock, TokenHash,
};
use grange_daemon_protocol::{BuilderConfig, DaemonConfig};
use grange_derivation::StoreDir;
use grange_interfaces::{Claim, Peer, Secret, Stop, Stopper};
use grange_sandbox::{SandboxConfig, StoreConfig};
use grange_transport_http::{CoordinatorUrl, HttpEndpoint, ListenAddress, Server, ServerConfig};
use tokio::task::JoinSet;

use super::secret;
use crate::agent::{BuilderKind, BuilderSettings, Settings, assemble};
use crate::connect::{SOFTWARE, client_config};
use crate::coordinator::{Token, open_datastore};
use crate::output::note;
use crate::upstream::UpstreamSettings;

/// How many agents there are.
const AGENTS: usize = 2;
/// How long agents may take to stop.
const STOPPING: Duration = Duration::from_secs(20);

/// A farm that runs.
#[derive(Debug)]
pub(super) struct Farm {
    coordinator: Coordinator,
    servers: JoinSet<()>,
    agents: JoinSet<anyhow::Result<()>>,
    stop_servers: Stopper,
    stop_agents: Stopper,
    /// Asks over TCP, as an operator.
    pub(super) client: Client,
    /// Where other processes of this user reach it, if that could be had.
    pub(super) socket: Option<PathBuf>,
}

impl Farm {
    /// Starts everything. What there was in `state` is taken up.
    pub(super) async fn start(
        state: &Path,
        kind: BuilderKind,
        socket: Option<PathBuf>,
        sandbox_paths: Vec<PathBuf>,
    ) -> anyhow::Result<Self> {
        let daemon = socket.or_else(|| kind.socket().map(PathBuf::from));
        let token = Token::new();
        let coordinator = coordinator(state, kind.store_dir(), &token).await?;
        let (stop_servers, stop) = Stop::new();
        let mut servers = JoinSet::new();
        let server = Server::bind("127.0.0.1:0".parse()?, server_config(false)).await?;
        let url: CoordinatorUrl = format!("http://{}", server.local_addr()).parse()?;
        servers.spawn(server.serve(coordinator.endpoint(), stop.clone()));
        let socket = state.join("admin.sock");
        let socket =
            match Server::bind(ListenAddress::Unix(socket.clone()), server_config(true)).await {
                Ok(server) => {
                    servers.spawn(server.serve(coordinator.endpoint(), stop));
                    Some(socket)
                }
                Err(error) => {
                    note(&format!(
                        "other commands cannot reach the demo: {:#}",
                        anyhow::Error::from(error)
                    ));
                    None
                }
            };
        let endpoint = HttpEndpoint::connect(url.clone(), client_config(None, SOFTWARE))?;
        let client = Client::new(
            Arc::new(endpoint),
            Peer::Token(Secret(token.as_str().to_owned())),
        );
        let (stop_agents, stop) = Stop::new();
        let mut agents = JoinSet::new();
        // All that uses one daemon is one agent.
        let count = if kind == BuilderKind::Sandbox {
            AGENTS
        } else {
            1
        };
        for number in 1..=count {
            let home = state.join(format!("agent-{number}"));
            let builder = builder(kind, daemon.clone(), &home, sandbox_paths.clone());
            let mut config = config(&client, &home, number).await?;
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            config.parallel = u32::try_from(cores.div_ceil(count)).unwrap_or(1);
            let agent = assemble(Settings {
                coordinator: url.clone(),
                ca: None,
                agent: config,
                upstream: UpstreamSettings::default(),
                builder,
            });
            let agent = agent.await?;
            let stop = stop.clone();
            agents.spawn(async move { Ok(agent.run(stop).await?) });
        }
        Ok(Self {
            coordinator,
            servers,
            agents,
            stop_servers,
            stop_agents,
            client,
            socket,
        })
    }

    /// Returns if an agent ends, which none does by itself unless something is wrong.
    pub(super) async fn agent_ended(&mut self) -> anyhow::Error {
        match self.agents.join_next().await {
            Some(Ok(Err(error))) => error.context("an agent of the demo ended"),
            Some(Err(error)) => anyhow::Error::from(error).context("an agent of the demo ended"),
            Some(Ok(Ok(()))) | None => anyhow::anyhow!("an agent of the demo ended"),
        }
    }

    /// Stops agents, then servers, then the coordinator.
    pub(super) async fn stop(mut self) {
        self.stop_agents.stop();
        let ended = async { while self.agents.join_next().await.is_some() {} };
        if tokio::time::timeout(STOPPING, ended).await.is_err() {
            note("an agent does not stop and is cut off");
            self.agents.shutdown().await;
        }
        self.stop_servers.stop();
        while self.servers.join_next().await.is_some() {}
        self.coordinator.stop().await;
    }
}

async fn coordinator(
    state: &Path,
    store_dir: StoreDir,
    token: &Token,
) -> anyhow::Result<Coordinator> {
    let config = CoordinatorConfig {
        store_dirs: vec![store_dir],
        admin_tokens: vec![TokenHash::of(token.as_str())],
        ..CoordinatorConfig::default()
    };
    let artifacts = state.join("artifacts");
    let parts = Parts {
        datastore: open_datastore(&format!("sqlite:{}", state.join("grange.db").display()))?,
        artifacts: Arc::new(ArtifactsDir::open(&artifacts).with_context(|| {
            format!(
                "cannot open the artifacts in {} (does another demo run?)",
                artifacts.display()
            )
        })?),
        clock: Arc::new(SystemClock),
        upstreams: grange_coordinator::Upstreams::default(),
        hooks: vec![Arc::new(MissingInputs::default())],
        seed: rand::random(),
        claim: Claim::Exclusive,
    };
    Coordinator::start(config, parts)
        .await
        .context("cannot start the demo's coordinator")
}

fn server_config(trusted: bool) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.software = SOFTWARE.to_owned();
    config.trusted = trusted;
    config
}

async fn config(client: &Client, home: &Path, number: usize) -> anyhow::Result<AgentConfig> {
    let (id, password) = secret::agent(client, &format!("demo-{number}")).await?;
    let mut agent = AgentConfig::new(id, password, home.join("state"));
    agent.cores = 1;
    Ok(agent)
}

fn builder(
    kind: BuilderKind,
    daemon: Option<PathBuf>,
    home: &Path,
    sandbox_paths: Vec<PathBuf>,
) -> BuilderSettings {
    match daemon.filter(|_| kind != BuilderKind::Sandbox) {
        None => {
            let mut sandbox = SandboxConfig::default();
            sandbox.sandbox_paths = sandbox_paths;
            BuilderSettings::Sandbox {
                store: StoreConfig::new(home.join("store"), kind.store_dir()),
                sandbox,
            }
        }
        Some(socket) => BuilderSettings::Daemon {
            daemon: DaemonConfig::new(socket, kind.store_dir()),
            farm_key: (kind == BuilderKind::Guix).then(|| home.join("keys/farm.sec")),
            builder: BuilderConfig::new(),
        },
    }
}
