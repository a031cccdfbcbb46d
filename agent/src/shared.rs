//! What all attempts of an agent share.

use std::sync::{Arc, Mutex, PoisonError};

use grange_agent_core::Jitter;
use grange_interfaces::{Builder, Clock, LocalStore, Upstream};
use grange_model::Tags;

use crate::AgentConfig;
use crate::calls::Coordinator;
use crate::claims::Claims;
use crate::fetch::Fetcher;

/// What all attempts of an agent share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: AgentConfig,
    /// What it builds for.
    pub(crate) systems: Vec<String>,
    /// What it offers.
    pub(crate) tags: Tags,
    /// Whether its builder wants derivations in the store.
    pub(crate) wants_derivations: bool,
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) builder: Arc<dyn Builder>,
    pub(crate) store: Arc<dyn LocalStore>,
    pub(crate) upstream: Option<Arc<dyn Upstream>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) fetcher: Fetcher,
    pub(crate) claims: Arc<Claims>,
    /// Written while garbage is collected, read while an attempt is prepared.
    pub(crate) collecting: Arc<tokio::sync::RwLock<()>>,
    pub(crate) jitter: Mutex<Jitter>,
}

impl Shared {
    /// Randomness of one's own.
    pub(crate) fn jitter(&self) -> Jitter {
        Jitter::new(
            self.jitter
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .draw(),
        )
    }
}
