//! An agent, to be run.

use std::sync::{Arc, Mutex, PoisonError};

use grange_agent_core::{Jitter, Settings};
use grange_interfaces::{Builder, Clock, Endpoint, LocalStore, Peer, Stop, Upstream};
use tokio::sync::{Notify, watch};

use crate::calls::Coordinator;
use crate::claims::Claims;
use crate::driver::{Driver, Outside};
use crate::fetch::Fetcher;
use crate::shared::Shared;
use crate::state_dir::StateDir;
use crate::{AgentConfig, AgentError, AgentStatus, session};

/// What an agent is made of.
#[derive(Debug)]
pub struct Parts {
    /// The coordinator.
    pub endpoint: Arc<dyn Endpoint>,
    /// What builds.
    pub builder: Arc<dyn Builder>,
    /// The store that it builds into.
    pub store: Arc<dyn LocalStore>,
    /// Where inputs come from that the coordinator does not have, and those that it would have to fetch itself.
    pub upstream: Option<Arc<dyn Upstream>>,
    /// Where `now` comes from.
    pub clock: Arc<dyn Clock>,
    /// What waiting times and session ids are drawn from. It should differ between agents.
    pub seed: u64,
}

/// An agent.
#[derive(Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    settings: Settings,
    status: watch::Sender<Arc<AgentStatus>>,
    draining: Arc<Notify>,
}

impl Agent {
    /// An agent that does nothing yet.
    ///
    /// # Errors
    ///
    /// [`AgentError::Config`] if a setting is not acceptable, or there is no system that it could
    /// build for.
    pub fn new(config: AgentConfig, parts: Parts) -> Result<Self, AgentError> {
        config.check()?;
        let Parts {
            endpoint,
            builder,
            store,
            upstream,
            clock,
            seed,
        } = parts;
        let offers = builder.offers();
        let systems = config.systems.clone().unwrap_or(offers.systems);
        if systems.is_empty() {
            let message = "the builder offers no system, and none is configured";
            return Err(AgentError::Config(message.into()));
        }
        let features = offers
            .features
            .iter()
            .map(|feature| (format!("feature:{feature}"), "yes".to_owned()));
        let tags = features.chain(config.tags.clone()).collect();
        let mut jitter = Jitter::new(seed);
        let peer = Peer::Agent {
            id: config.id,
            password: config.password.clone(),
        };
        let coordinator = Arc::new(Coordinator::new(endpoint, peer, Arc::clone(&clock)));
        let fetcher = Fetcher::new(
            Arc::clone(&coordinator),
            upstream.clone(),
            Arc::clone(&store),
            Arc::clone(&clock),
            Jitter::new(jitter.draw()),
            config.fetches,
        );
        let settings = Settings {
            parallel: config
                .parallel
                .min(offers.max_parallel_builds.unwrap_or(u32::MAX))
                .max(1),
            ahead: config.ahead,
            uploads: config.uploads,
            results: config.results,
            wait: config.wait,
            seed: jitter.draw(),
            ..Settings::default()
        };
        let shared = Shared {
            config,
            systems,
            tags,
            wants_derivations: offers.derivations,
            coordinator,
            builder,
            store,
            upstream,
            clock,
            fetcher,
            claims: Arc::new(Claims::default()),
            collecting: Arc::default(),
            jitter: Mutex::new(jitter),
        };
        Ok(Self {
            shared: Arc::new(shared),
            settings,
            status: watch::Sender::default(),
            draining: Arc::new(Notify::new()),
        })
    }

    /// Runs until `stop` says so, or until all is done after [`Agent::drain`]. Either is `Ok`.
    ///
    /// Builds that run are stopped then, and made again in a later run if the coordinator still
    /// wants them; results that are not sent yet stay in the state directory for it. Dropping the
    /// future does the same without waiting for builds to have stopped.
    ///
    /// # Errors
    ///
    /// [`AgentError::StateDir`] and [`AgentError::Locked`] at the beginning;
    /// [`AgentError::Superseded`] if another process runs as the same agent, and
    /// [`AgentError::Refused`] if the coordinator cannot talk to this agent as it is. A coordinator
    /// that is not reached, and one that does not take the password, are called again and again.
    pub async fn run(&self, stop: Stop) -> Result<(), AgentError> {
        let state = StateDir::open(&self.shared.config.state_dir)?;
        let last = state.last_session();
        let session = {
            let mut jitter = self
                .shared
                .jitter
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let began = self.shared.config.began;
            let began = began.unwrap_or_else(|| self.shared.clock.now());
            session::next(began, &mut jitter, last)
        };
        state.write_session(session)?;
        let outside = Outside {
            stop,
            draining: Arc::clone(&self.draining),
            status: self.status.clone(),
        };
        let shared = Arc::clone(&self.shared);
        let settings = self.settings.clone();
        let driver = Driver::new(shared, settings, state, session, last.is_some(), outside)?;
        driver.run().await
    }

    /// Takes nothing new from now on; [`Agent::run`] returns when all is done.
    pub fn drain(&self) {
        self.draining.notify_one();
    }

    /// What it does now.
    #[must_use]
    pub fn status(&self) -> Arc<AgentStatus> {
        Arc::clone(&self.status.borrow())
    }

    /// Waits until it does something else than `seen`, and returns that.
    pub async fn status_after(&self, seen: &AgentStatus) -> Arc<AgentStatus> {
        let mut receiver = self.status.subscribe();
        match receiver.wait_for(|status| **status != *seen).await {
            Ok(status) => Arc::clone(&status),
            // Cannot be: this agent holds the sender.
            Err(_) => self.status(),
        }
    }
}
