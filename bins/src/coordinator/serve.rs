//! A coordinator as a process.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use grange_artifacts_dir::ArtifactsDir;
use grange_coordinator::{Coordinator, MissingInputs, Parts, SystemClock};
use grange_interfaces::{ArtifactStore, Datastore, History, Site, Stop};
use grange_model::Limits as BuildLimits;
use grange_transport_http::{Limits, ListenAddress, Server, ServerConfig};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::settings::{Settings, datastore, make_parent, open_recording};
use crate::connect::SOFTWARE;
use crate::durations::milliseconds;
use crate::open_files;

/// Runs until SIGTERM or SIGINT, or until the coordinator loses its database.
pub(super) async fn run(settings: Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let count = 1 + settings.listen.len() + settings.publish.listen.len();
    let wanted = Limits::default().connections;
    let connections = open_files::connections(open_files::raise(), count, wanted);
    // First the addresses: whoever cannot listen shall not claim the database.
    let servers = bind(&settings, connections).await?;
    let pages = bind_pages(&settings, connections).await?;
    let limits = &settings.coordinator.default_limits;
    let limits = BuildLimits {
        timeout_ms: milliseconds(limits.timeout),
        max_silent_ms: milliseconds(limits.max_silent),
    };
    let recording = open_recording(&settings)?;
    let datastore = datastore(&settings)?;
    let history: Arc<dyn History> = Arc::<dyn Datastore>::clone(&datastore);
    let artifacts: Arc<dyn ArtifactStore> = Arc::new(open_artifacts(&settings.artifacts)?);
    let parts = Parts {
        datastore,
        artifacts: Arc::clone(&artifacts),
        clock: Arc::new(SystemClock),
        upstreams: settings.upstreams,
        hooks: vec![Arc::new(MissingInputs { limits })],
        seed: rand::random(),
        claim: settings.claim,
    };
    let mut coordinator = Coordinator::start(settings.coordinator, parts)
        .await
        .context("cannot start")?;
    if let Some(recording) = recording {
        coordinator.record(Box::new(recording));
    }
    let (mut stopper, stop) = Stop::new();
    let mut serving = JoinSet::new();
    for server in servers {
        tracing::info!(address = %server.local_addr(), "listening");
        serving.spawn(server.serve(coordinator.endpoint(), stop.clone()));
    }
    if !pages.is_empty() {
        let site: Arc<dyn Site> = Arc::new(settings.publish.site(history, artifacts)?);
        for server in pages {
            tracing::info!(address = %server.local_addr(), "publishing");
            serving.spawn(server.serve_site(Arc::clone(&site), stop.clone()));
        }
    }
    tell_manager(&[NotifyState::Ready]);
    let lost = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        stopped = coordinator.ended() => Some(stopped),
    };
    tracing::info!("stopping");
    tell_manager(&[NotifyState::Stopping]);
    stopper.stop();
    while serving.join_next().await.is_some() {}
    coordinator.stop().await;
    lost.map_or(Ok(()), |stopped| Err(stopped.into()))
}

async fn bind(settings: &Settings, connections: usize) -> anyhow::Result<Vec<Server>> {
    let mut servers = Vec::new();
    let admin = std::iter::once((&settings.admin, true));
    for (address, is_admin) in admin.chain(settings.listen.iter().map(|address| (address, false))) {
        let is_unix = matches!(address, ListenAddress::Unix(_));
        let mut config = ServerConfig::default();
        config.software = SOFTWARE.to_owned();
        config.limits.connections = connections;
        config.trusted = is_admin && is_unix;
        config.tls = settings.tls.clone().filter(|_| !is_unix);
        if let ListenAddress::Unix(path) = address {
            make_parent(path)?;
        } else if is_admin && settings.coordinator.admin_tokens.is_empty() {
            tracing::warn!(%address, "nobody can administer over TCP: there are no admin tokens");
        }
        servers.push(Server::bind(address.clone(), config).await?);
    }
    Ok(servers)
}

/// Paths of sources' names and hashes are long.
const PAGE_PATH: usize = 2048;

async fn bind_pages(settings: &Settings, connections: usize) -> anyhow::Result<Vec<Server>> {
    let mut servers = Vec::new();
    for address in &settings.publish.listen {
        let mut config = ServerConfig::default();
        config.software = SOFTWARE.to_owned();
        config.limits.connections = connections;
        config.limits.path_bytes = PAGE_PATH;
        config.tls = settings.tls.clone();
        if let ListenAddress::Unix(path) = address {
            config.tls = None;
            make_parent(path)?;
        }
        servers.push(Server::bind(address.clone(), config).await?);
    }
    Ok(servers)
}

fn open_artifacts(directory: &Path) -> anyhow::Result<ArtifactsDir> {
    make_parent(directory)?;
    ArtifactsDir::open(directory)
        .with_context(|| format!("cannot open the artifacts in {}", directory.display()))
}

/// Tells systemd, if it started us.
pub(crate) fn tell_manager(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}
