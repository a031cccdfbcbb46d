//! An agent as a process.

use std::sync::Arc;

use anyhow::Context as _;
use grange_agent::{Agent, Parts};
use grange_coordinator::SystemClock;
use grange_interfaces::Stop;
use grange_sandbox::{SandboxBuilder, SandboxStore};
use grange_transport_http::HttpEndpoint;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use super::settings::Settings;
use crate::connect::{SOFTWARE, client_config};
use crate::coordinator::tell_manager;
use crate::failure;

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
/// This machine lacks what the sandbox needs, or a directory cannot be used.
pub(crate) async fn assemble(settings: Settings) -> anyhow::Result<Agent> {
    let config = client_config(settings.ca.as_deref(), SOFTWARE);
    let endpoint = HttpEndpoint::connect(settings.coordinator.clone(), config)
        .with_context(|| format!("cannot connect to {}", settings.coordinator))?;
    let directory = settings.store.directory.clone();
    let opened = tokio::task::spawn_blocking(move || SandboxStore::open(settings.store)).await?;
    let store = Arc::new(
        opened.with_context(|| format!("cannot open the store in {}", directory.display()))?,
    );
    let builder = SandboxBuilder::new(Arc::clone(&store), settings.sandbox)
        .await
        .map_err(|error| failure::config(failure::one_line(&anyhow::Error::from(error))))?;
    let parts = Parts {
        endpoint: Arc::new(endpoint),
        builder: Arc::new(builder),
        store,
        clock: Arc::new(SystemClock),
        seed: rand::random(),
    };
    Ok(Agent::new(settings.agent, parts)?)
}
