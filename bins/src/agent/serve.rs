//! An agent as a process.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use grange_agent::{Agent, Parts};
use grange_coordinator::SystemClock;
use grange_daemon_protocol::{DaemonBuilder, DaemonError, DaemonStore, FarmKey};
use grange_interfaces::{Builder, LocalStore, Stop};
use grange_sandbox::{SandboxBuilder, SandboxStore};
use grange_transport_http::HttpEndpoint;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use super::settings::{BuilderSettings, Settings};
use crate::connect::{SOFTWARE, client_config};
use crate::coordinator::tell_manager;
use crate::failure;
use crate::keys::{SecretKey, public_file, read_or_make};

/// Runs until SIGTERM or SIGINT, or until the coordinator will not have this agent.
pub(super) async fn run(settings: Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let agent = assemble(settings).await?;
    let (mut stopper, stop) = Stop::new();
    let running = agent.run(stop);
    tokio::pin!(running);
    tell_manager(&[NotifyState::Ready]);
    tokio::select! {
        ended = &mut running => return Ok(ended?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    tell_manager(&[NotifyState::Stopping]);
    stopper.stop();
    Ok(running.await?)
}

/// Puts an agent together.
///
/// # Errors
///
/// This machine lacks what the builder needs, or a directory cannot be used.
pub(crate) async fn assemble(settings: Settings) -> anyhow::Result<Agent> {
    let config = client_config(settings.ca.as_deref(), SOFTWARE);
    let endpoint = HttpEndpoint::connect(settings.coordinator.clone(), config)
        .with_context(|| format!("cannot connect to {}", settings.coordinator))?;
    let upstream = settings.upstream.open_all()?;
    let (builder, store) = builder(settings.builder).await?;
    let parts = Parts {
        endpoint: Arc::new(endpoint),
        builder,
        store,
        upstream,
        clock: Arc::new(SystemClock),
        seed: rand::random(),
    };
    Ok(Agent::new(settings.agent, parts)?)
}

/// What builds, and its store.
async fn builder(
    settings: BuilderSettings,
) -> anyhow::Result<(Arc<dyn Builder>, Arc<dyn LocalStore>)> {
    let lacks = |error: anyhow::Error| failure::config(failure::one_line(&error));
    match settings {
        BuilderSettings::Sandbox { store, sandbox } => {
            let directory = store.directory.clone();
            let opened = tokio::task::spawn_blocking(move || SandboxStore::open(store)).await?;
            let store = opened
                .with_context(|| format!("cannot open the store in {}", directory.display()))?;
            let store = Arc::new(store);
            let builder = SandboxBuilder::new(Arc::clone(&store), sandbox).await;
            Ok((
                Arc::new(builder.map_err(|error| lacks(error.into()))?),
                store,
            ))
        }
        BuilderSettings::Daemon {
            mut daemon,
            farm_key,
            builder,
        } => {
            daemon.farm_key = farm_key.as_deref().map(read_farm_key).transpose()?;
            let socket = daemon.socket.clone();
            let connected = DaemonStore::connect(daemon).await;
            let store = connected.map_err(|error| {
                let what = format!("cannot use the daemon at {}", socket.display());
                lacks(anyhow::Error::from(error).context(what))
            })?;
            let probed = store.probe().await;
            probed.map_err(|error| match (&farm_key, &error) {
                (Some(key), DaemonError::Unauthorised { .. }) => failure::config(format!(
                    "the daemon does not accept the farm key yet; run as root: \
                     guix archive --authorize < {}",
                    public_file(key).display()
                )),
                _ => lacks(error.into()),
            })?;
            Ok((
                Arc::new(DaemonBuilder::new(Arc::clone(&store), builder)),
                store,
            ))
        }
    }
}

fn read_farm_key(file: &Path) -> anyhow::Result<FarmKey> {
    match read_or_make(file, || Ok(SecretKey::generate_guix()))? {
        SecretKey::Guix(key) => Ok(FarmKey::Guix(key)),
        SecretKey::Nix(_) => Err(failure::config(format!(
            "the key {} is one of Nix, and a guix-daemon wants one of Guix",
            file.display()
        ))),
    }
}
