//! An agent, and all that it needs.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use grange_agent::{Agent, AgentConfig, AgentError, Parts};
use grange_derivation::{Builder, Hash, Instantiated, StoreDir, StorePath};
use grange_interfaces::message::{Assignment, ItemView, JobAnswer, Report};
use grange_interfaces::{Clock, Offers, Secret, Stop, Stopper};
use grange_model::{AgentId, AttemptId, Limits, Term, Timestamp};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::builder::{Play, Player};
use crate::farm::Farm;
use crate::store::{Store, info};
use crate::upstream::FakeUpstream;

#[derive(Debug)]
pub(crate) struct TestClock(Instant);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000).after(self.0.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) dir: TempDir,
    pub(crate) farm: Arc<Farm>,
    pub(crate) store: Arc<Store>,
    pub(crate) player: Arc<Player>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) upstream: Option<Arc<FakeUpstream>>,
    pub(crate) config: AgentConfig,
}

#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) agent: Arc<Agent>,
    stopper: Stopper,
    task: JoinHandle<Result<(), AgentError>>,
}

impl Running {
    pub(crate) async fn stop(mut self) {
        self.stopper.stop();
        self.task.await.unwrap().unwrap();
    }

    /// As if the process were killed.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        // What was spawned is gone once everything has run.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn end(self) -> Result<(), AgentError> {
        self.task.await.unwrap()
    }
}

pub(crate) fn id(slot: u32) -> AttemptId {
    AttemptId {
        term: Term(1),
        slot,
        generation: 0,
    }
}

pub(crate) fn derivation(name: &str) -> Instantiated {
    Builder::new(&StoreDir::guix(), name, "x86_64-linux", "/bin/sh")
        .instantiate()
        .unwrap()
}

pub(crate) fn item(name: &str) -> StorePath {
    let mut digest = [0; 20];
    digest[..name.len()].copy_from_slice(name.as_bytes());
    StorePath::new(&StoreDir::guix(), digest, name).unwrap()
}

impl Rig {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::new(StoreDir::guix()));
        let offers = Offers {
            systems: vec!["x86_64-linux".into()],
            ..Offers::default()
        };
        let player = Player {
            store: Arc::clone(&store),
            offers,
            plays: Mutex::default(),
            jobs: Mutex::default(),
            stopped: Mutex::default(),
        };
        let farm = Farm::default();
        farm.state().password = "secret".into();
        farm.state().store_dirs = vec!["/gnu/store".into()];
        let agent = AgentId(Uuid::from_u128(7));
        let config = AgentConfig::new(agent, Secret("secret".into()), dir.path().join("state"));
        Self {
            dir,
            farm: Arc::new(farm),
            store,
            player: Arc::new(player),
            clock: Arc::new(TestClock(Instant::now())),
            upstream: None,
            config,
        }
    }

    pub(crate) fn state_dir(&self) -> &Path {
        &self.config.state_dir
    }

    /// Whether nothing of any attempt lies on disk.
    pub(crate) fn is_clean(&self) -> bool {
        std::fs::read_dir(self.state_dir().join("attempts"))
            .unwrap()
            .next()
            .is_none()
    }

    pub(crate) fn agent(&self) -> Result<Agent, AgentError> {
        let parts = Parts {
            endpoint: Arc::clone(&self.farm) as _,
            builder: Arc::clone(&self.player) as _,
            store: Arc::clone(&self.store) as _,
            upstream: self.upstream.clone().map(|upstream| upstream as _),
            clock: Arc::clone(&self.clock) as _,
            seed: 1,
        };
        Agent::new(self.config.clone(), parts)
    }

    pub(crate) fn start(&self) -> Running {
        let agent = Arc::new(self.agent().unwrap());
        let (stopper, stop) = Stop::new();
        let running = Arc::clone(&agent);
        let task = tokio::spawn(async move { running.run(stop).await });
        Running {
            agent,
            stopper,
            task,
        }
    }

    pub(crate) fn play(&self, name: &str, play: Play) {
        self.player
            .plays
            .lock()
            .unwrap()
            .insert(name.to_owned(), play);
    }

    /// Has a derivation of this name built.
    pub(crate) fn assign(&self, slot: u32, name: &str) -> Instantiated {
        let derivation = derivation(name);
        self.assign_with(slot, &derivation, Vec::new(), Vec::new());
        derivation
    }

    pub(crate) fn assign_with(
        &self,
        slot: u32,
        derivation: &Instantiated,
        inputs: Vec<ItemView>,
        missing: Vec<String>,
    ) {
        let path = derivation.path.to_string();
        let text = data_encoding::BASE64.encode(&derivation.text);
        let limits = Limits {
            timeout_ms: 3_600_000,
            max_silent_ms: 3_600_000,
        };
        let assignment = Assignment {
            attempt: id(slot),
            derivation: path.clone(),
            builds: vec![],
            limits,
        };
        self.farm.change(|state| {
            state.jobs.insert(
                id(slot),
                JobAnswer {
                    derivation: path,
                    text,
                    inputs,
                    missing,
                },
            );
            state.counted.insert(id(slot), assignment);
        });
    }

    /// Puts an item where agents can fetch it.
    pub(crate) fn offer(
        &self,
        path: &StorePath,
        contents: &[u8],
        references: &[StorePath],
    ) -> ItemView {
        let info = info(path, contents, references);
        let file = zstd::encode_all(contents, 3).unwrap();
        let view = ItemView {
            path: path.to_string(),
            nar_hash: Hash::from_sha256(info.nar_hash.0).to_base16(),
            nar_size: info.nar_size,
            references: references.iter().map(ToString::to_string).collect(),
            deriver: None,
            file_size: file.len() as u64,
            file_hash: Hash::sha256(&file).to_base16(),
            upstream: false,
        };
        self.farm.change(|state| {
            state
                .items
                .insert(path.to_string(), (view.clone(), file.into()))
        });
        view
    }

    /// Waits for the report about an attempt.
    pub(crate) async fn report(&self, slot: u32) -> Report {
        let find = |attempt| move |(id, _): &&(AttemptId, Report)| *id == attempt;
        let there =
            |state: &crate::farm::FarmState| state.reports.iter().any(|r| find(id(slot))(&r));
        self.farm.until("a report", there).await;
        self.farm
            .state()
            .reports
            .iter()
            .find(find(id(slot)))
            .unwrap()
            .1
            .clone()
    }

    /// Waits until the agent holds nothing any more.
    pub(crate) async fn idle(&self, running: &Running) {
        let mut status = running.agent.status();
        while !status.attempts.is_empty() || !self.is_clean() {
            let next = running.agent.status_after(&status);
            // Directories go without a change of the status.
            status = match tokio::time::timeout(Duration::from_millis(10), next).await {
                Ok(next) => next,
                Err(_) => running.agent.status(),
            };
        }
    }
}
