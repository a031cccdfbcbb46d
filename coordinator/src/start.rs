//! Starting and stopping.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use grange_coordinator_core::{Config as CoreConfig, Core, Loading, Start};
use grange_fail_points::{Point, reach};
use grange_interfaces::{
    ArtifactError, ArtifactStore, Claim, Clock, Datastore, Endpoint, Hook, Refusal, Stop, Stopper,
    StoreError,
};
use grange_model::{HookRecord, Key, Record};
use grange_recording::Sink;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::available;
use crate::config::CoordinatorConfig;
use crate::driver::Driver;
use crate::endpoint::CoordinatorEndpoint;
use crate::follow::{self, Reopen};
use crate::handle::{Handle, Stopped};
use crate::ingest;
use crate::retain::{self, Swept};
use crate::shared::Shared;
use crate::upstream::Upstreams;

/// What a coordinator is put together from.
#[derive(Debug)]
pub struct Parts {
    /// Where its state lives.
    pub datastore: Arc<dyn Datastore>,
    /// Where nars, sources and logs lie.
    pub artifacts: Arc<dyn ArtifactStore>,
    /// Where `now` comes from.
    pub clock: Arc<dyn Clock>,
    /// Whose outputs count as built. [`Upstreams::default`] is nobody.
    pub upstreams: Upstreams,
    /// What hears of everything that happens. [`crate::MissingInputs`] is what most farms want.
    pub hooks: Vec<Arc<dyn Hook>>,
    /// Where names for implicit builds come from: a new random number for each start.
    pub seed: u64,
    /// How the Datastore is claimed.
    pub claim: Claim,
}

/// Why a coordinator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The Datastore could not be claimed or read.
    #[error("the datastore cannot be used")]
    Datastore(#[from] StoreError),
    /// What lies there does not fit together.
    #[error("the records in the datastore do not fit together: {0}")]
    Records(String),
    /// The artifact store cannot be used.
    #[error("the artifact store cannot be used")]
    Artifacts(#[from] ArtifactError),
    /// Two hooks have one name.
    #[error("there are two hooks named {0:?}")]
    HookName(String),
}

/// A coordinator that runs. Dropping it stops it at once; nothing acknowledged is lost by that.
#[derive(Debug)]
pub struct Coordinator {
    endpoint: Arc<CoordinatorEndpoint>,
    stopper: Stopper,
    stop: Stop,
    driver: JoinHandle<Stopped>,
    followers: Vec<JoinHandle<()>>,
}

impl Coordinator {
    /// Claims the Datastore, takes over what is unfinished, and runs.
    ///
    /// # Errors
    ///
    /// The Datastore is in use, damaged or not there; the operator has to act.
    pub async fn start(config: CoordinatorConfig, parts: Parts) -> Result<Self, StartError> {
        let mut hooks = parts.hooks;
        hooks.push(Arc::new(Reopen));
        for (at, hook) in hooks.iter().enumerate() {
            if hooks[..at].iter().any(|other| other.name() == hook.name()) {
                return Err(StartError::HookName(hook.name().to_owned()));
            }
        }
        let claimed = parts.datastore.claim(parts.claim).await?;
        reach(Point::TermClaimed);
        let start = Start {
            term: claimed.term,
            seq: claimed.seq,
            fact: claimed.fact,
            seed: parts.seed,
        };
        let clock = Arc::clone(&parts.clock);
        let datastore = parts.datastore;
        let shared = Arc::new(Shared::new(
            config,
            datastore,
            parts.artifacts,
            clock,
            parts.upstreams,
            claimed.fact,
        ));
        let (core, cursors) = load(&shared, start).await?;
        ingest::discard_void_uploads(&shared, &core).await?;

        reach(Point::StateLoaded);

        let (stopper, stop) = Stop::new();
        let (commands, received) = mpsc::channel(shared.config.max_pending);
        let (tell_ended, ended) = watch::channel(None);
        let handle = Handle::new(commands, ended);
        let driver = Driver::new(
            core,
            claimed.term,
            Arc::clone(&shared),
            received,
            tell_ended,
        );
        let sweeper = retain::run(Arc::clone(&shared), handle.clone(), stop.clone());
        let followers = hooks.into_iter().map(|hook| {
            let known = cursors
                .iter()
                .find(|record| record.name == hook.name())
                .cloned();
            let follow = follow::run(
                Arc::clone(&shared),
                handle.clone(),
                hook,
                known,
                claimed.fact,
                stop.clone(),
            );
            tokio::spawn(follow)
        });
        Ok(Self {
            followers: followers.chain([tokio::spawn(sweeper)]).collect(),
            driver: tokio::spawn(driver.run(stop.clone())),
            endpoint: Arc::new(CoordinatorEndpoint::new(shared, handle)),
            stopper,
            stop,
        })
    }

    /// Records what happens, to be replayed: whatever happened since the recording ends, as long as the journal has it; in a
    /// new one, what happens from now on. Where nothing can be appended, it is tried again later; the farm goes on.
    pub fn record(&mut self, sink: Box<dyn Sink>) {
        let (shared, handle) = self.endpoint.parts();
        let record = follow::record::run(shared, handle, sink, self.stop.clone());
        self.followers.push(tokio::spawn(record));
    }

    /// What answers agents and clients. It is the in-process transport, too.
    #[must_use]
    pub fn endpoint(&self) -> Arc<dyn Endpoint> {
        Arc::clone(&self.endpoint) as Arc<dyn Endpoint>
    }

    /// Looks for blobs that no record names, such as outputs of attempts that were void, and deletes
    /// them if `delete`. The coordinator does so itself now and then.
    ///
    /// # Errors
    ///
    /// [`Fault::Busy`](grange_interfaces::Fault::Busy) if a sweep is under way; Datastore or artifact
    /// store cannot be read or written. What was deleted by then stays deleted, and counts.
    pub async fn sweep(&self, delete: bool) -> Result<Swept, Refusal> {
        self.endpoint.sweep(delete).await
    }

    /// Waits until the coordinator ends by itself, which it does only if it loses its Datastore.
    pub async fn ended(&mut self) -> Stopped {
        (&mut self.driver).await.unwrap_or(Stopped::Asked)
    }

    /// Stops it.
    pub async fn stop(mut self) {
        self.stopper.stop();
        let wait = async {
            for follower in self.followers.drain(..) {
                let _ = follower.await;
            }
            if !self.driver.is_finished() {
                let _ = (&mut self.driver).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(10), wait)
            .await
            .is_err()
        {
            tracing::warn!("a hook did not stop in time and is cut off");
        }
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.driver.abort();
        for follower in &self.followers {
            follower.abort();
        }
    }
}

async fn load(shared: &Shared, start: Start) -> Result<(Core, Vec<HookRecord>), StartError> {
    let config = CoreConfig {
        policy: shared.config.policy.clone(),
        lease: shared.config.lease,
        remember_failures: shared.config.remember_failures,
        remember_cancels: shared.config.remember_cancels,
        setup_backoff: shared.config.setup_backoff,
        hold: shared.config.hold,
        ..CoreConfig::default()
    };
    let mut loading = Loading::new(config, start);
    let mut cursors = Vec::new();
    let mut chunks = shared.datastore.load(start.term);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        for record in &chunk {
            shared.learn_agent(record);
            if let Record::Hook(hook) = record {
                cursors.push(hook.clone());
            }
        }
        loading.extend(chunk);
    }
    drop(chunks);
    let questions = loading.questions();
    let keys: Vec<_> = questions.iter().map(|digest| Key::Item(*digest)).collect();
    let found = available::get(&*shared.datastore, &keys).await?;
    let (mut available, mut upstream) = (Vec::new(), Vec::new());
    for (digest, record) in questions.iter().zip(found) {
        match record {
            Some(Record::Upstream(_)) => upstream.push(*digest),
            Some(_) => available.push(*digest),
            None => {}
        }
    }
    let loaded = loading.finish(shared.clock.now(), &available, &upstream);
    Ok((loaded.map_err(StartError::Records)?, cursors))
}
