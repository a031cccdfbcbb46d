//! What all tasks of a coordinator share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use grange_interfaces::{ArtifactStore, Clock, Datastore, Refusal};
use grange_model::{AgentId, AttemptId, Batch, Change, FactNumber, Key, PasswordHash, Record};
use tokio::sync::{Semaphore, watch};

use crate::config::{CoordinatorConfig, TokenHash};
use crate::retain::{Pins, Relied};
use crate::upstream::{Silent, Upstreams};

/// How many nars are fetched from substitute servers at once: some 2 GB of memory if all have the largest windows, 100 MB
/// with usual ones.
const TRANSFERS: usize = 16;

/// How many larger outputs are read and verified at once: each has a thread, and memory for its window.
const VERIFICATIONS: usize = 16;

/// What all tasks of a coordinator share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: CoordinatorConfig,
    pub(crate) datastore: Arc<dyn Datastore>,
    pub(crate) artifacts: Arc<dyn ArtifactStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) upstreams: Upstreams,
    /// How many nars may be fetched from these at once for agents: each has a thread, and memory for its window.
    pub(crate) transfers: Arc<Semaphore>,
    /// How many outputs may be read at once that are not small.
    pub(crate) verifying: Semaphore,
    pub(crate) silent: Silent,
    /// Blobs that a commit under way may name.
    pub(crate) pins: Arc<Pins>,
    /// Items that what a commit under way writes may refer to.
    pub(crate) relied: Arc<Relied>,
    passwords: RwLock<BTreeMap<AgentId, Vec<TokenHash>>>,
    /// The newest fact that is durable.
    facts: watch::Sender<FactNumber>,
    /// Counts what was appended to logs.
    logs: watch::Sender<u64>,
    /// Attempts whose reports are being looked at.
    reports: Mutex<BTreeSet<AttemptId>>,
}

/// The right to look at the report of an attempt.
#[derive(Debug)]
pub(crate) struct ReportTurn {
    shared: Arc<Shared>,
    attempt: AttemptId,
}

impl Drop for ReportTurn {
    fn drop(&mut self) {
        self.shared.reports_mut().remove(&self.attempt);
    }
}

impl Shared {
    pub(crate) fn new(
        config: CoordinatorConfig,
        datastore: Arc<dyn Datastore>,
        artifacts: Arc<dyn ArtifactStore>,
        clock: Arc<dyn Clock>,
        upstreams: Upstreams,
        last_fact: FactNumber,
    ) -> Self {
        Self {
            config,
            datastore,
            artifacts,
            clock,
            upstreams,
            transfers: Arc::new(Semaphore::new(TRANSFERS)),
            verifying: Semaphore::new(VERIFICATIONS),
            silent: Silent::default(),
            pins: Arc::default(),
            relied: Arc::default(),
            passwords: RwLock::default(),
            facts: watch::Sender::new(last_fact),
            logs: watch::Sender::new(0),
            reports: Mutex::default(),
        }
    }

    /// Learns from a commit that is durable.
    pub(crate) fn committed(&self, batch: &Batch) {
        for change in &batch.changes {
            match change {
                Change::Put(record @ Record::Agent(_)) => self.learn_agent(record),
                Change::Remove(Key::Agent(agent)) => {
                    self.passwords_mut().remove(agent);
                }
                _ => {}
            }
        }
        if !batch.facts.is_empty() {
            let last = FactNumber(batch.first_fact.0 + batch.facts.len() as u64 - 1);
            self.facts.send_replace(last);
        }
    }

    pub(crate) fn learn_agent(&self, record: &Record) {
        if let Record::Agent(agent) = record {
            let hash = |hash: &PasswordHash| TokenHash::from_bytes(hash.0);
            let hashes = agent.passwords.iter().map(hash).collect();
            self.passwords_mut().insert(agent.id, hashes);
        }
    }

    /// Whether an agent may log in so. Takes as long for an unknown agent as for a wrong password.
    pub(crate) fn accepts_password(&self, agent: AgentId, password: &str) -> bool {
        let passwords = self
            .passwords
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let nobody = [TokenHash::from_bytes([0; 32])];
        let known = passwords.get(&agent).map_or(&nobody[..], Vec::as_slice);
        known
            .iter()
            .fold(false, |found, hash| hash.accepts(password) | found)
    }

    /// One report of an attempt is looked at at a time.
    pub(crate) fn begin_report(
        self: &Arc<Self>,
        attempt: AttemptId,
    ) -> Result<ReportTurn, Refusal> {
        if self.reports_mut().insert(attempt) {
            let shared = Arc::clone(self);
            return Ok(ReportTurn { shared, attempt });
        }
        Err(Refusal::busy(
            "an earlier report of this attempt is being looked at",
            Duration::from_secs(1),
        ))
    }

    fn reports_mut(&self) -> MutexGuard<'_, BTreeSet<AttemptId>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn facts(&self) -> watch::Receiver<FactNumber> {
        self.facts.subscribe()
    }

    pub(crate) fn logs(&self) -> watch::Receiver<u64> {
        self.logs.subscribe()
    }

    pub(crate) fn log_grew(&self) {
        self.logs.send_modify(|count| *count += 1);
    }

    fn passwords_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<AgentId, Vec<TokenHash>>> {
        self.passwords
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
