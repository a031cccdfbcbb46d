//! A hook that remembers what it was given, and answers as a case wants.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use grange_interfaces::{Delivery, History, Hook, HookError, Request};
use grange_model::{BuildId, BuildSpec, Digest, Fact, FactNumber, Limits, NumberedFact, Tags};
use uuid::Uuid;

type Answer = Result<Vec<Request>, HookError>;
type Part = Box<dyn Fn(&Delivery) -> Answer + Send + Sync>;

/// See above.
pub(super) struct Recorder {
    name: &'static str,
    part: Part,
    seen: Mutex<Vec<Delivery>>,
    busy: AtomicBool,
    /// Whether two facts were given at once.
    at_once: Mutex<Option<String>>,
    /// Whether one was given before it was written.
    unwritten: Mutex<Option<String>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Recorder {
    pub(super) fn new(
        name: &'static str,
        part: impl Fn(&Delivery) -> Answer + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            part: Box::new(part),
            seen: Mutex::default(),
            busy: AtomicBool::new(false),
            at_once: Mutex::default(),
            unwritten: Mutex::default(),
        })
    }

    /// One that takes everything.
    pub(super) fn plain(name: &'static str) -> Arc<Self> {
        Self::new(name, |_| Ok(Vec::new()))
    }

    pub(super) fn seen(&self) -> Vec<Delivery> {
        lock(&self.seen).clone()
    }

    pub(super) fn facts(&self) -> Vec<NumberedFact> {
        self.seen()
            .into_iter()
            .map(|delivery| delivery.fact)
            .collect()
    }

    /// Builds whose submission it was told of.
    pub(super) fn submitted(&self) -> Vec<BuildId> {
        let facts = self.facts().into_iter();
        facts.filter_map(|fact| submission(&fact)).collect()
    }

    /// Returns once it has heard of the submission of this build.
    pub(super) async fn hears_of(&self, build: BuildId) {
        until(|| self.submitted().contains(&build)).await;
    }

    /// Facts came one at a time.
    pub(super) fn check_turns(&self) {
        assert_eq!(*lock(&self.at_once), None);
    }

    /// Facts were written before they came.
    pub(super) fn check_written(&self) {
        assert_eq!(*lock(&self.unwritten), None);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Hook for Recorder {
    fn name(&self) -> &str {
        self.name
    }

    async fn deliver(&self, delivery: &Delivery, history: &dyn History) -> Answer {
        if self.busy.swap(true, Ordering::SeqCst) {
            let wrong = format!("{delivery:?} came before another was taken");
            *lock(&self.at_once) = Some(wrong);
        }
        let number = delivery.fact.number;
        let before = FactNumber(number.0.saturating_sub(1));
        let written = history.facts(before, 1).await.map(|page| page.entries);
        if written.as_ref() != Ok(&vec![delivery.fact.clone()]) {
            let wrong = format!("the journal has {written:?}, and {delivery:?} came");
            *lock(&self.unwritten) = Some(wrong);
        }
        tokio::task::yield_now().await;
        lock(&self.seen).push(delivery.clone());
        let answer = (self.part)(delivery);
        self.busy.store(false, Ordering::SeqCst);
        answer
    }
}

/// The build that a fact says was submitted.
pub(super) fn submission(fact: &NumberedFact) -> Option<BuildId> {
    match fact.fact {
        Fact::Submitted { build, .. } => Some(build),
        _ => None,
    }
}

/// All facts that were written.
pub(super) async fn journal(history: &dyn History) -> Vec<NumberedFact> {
    let page = history.facts(FactNumber(0), usize::MAX).await;
    page.expect("it reads").entries
}

/// Returns once it is so.
pub(super) async fn until(so: impl Fn() -> bool) {
    while !so() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// New ids of builds.
pub(super) fn ids(count: usize) -> Vec<BuildId> {
    (0..count).map(|_| BuildId(Uuid::now_v7())).collect()
}

/// A request for another build of the same derivation.
pub(super) fn another(derivation: Digest) -> Request {
    Request::Build(BuildSpec {
        id: BuildId(Uuid::now_v7()),
        derivation,
        priority: 0,
        tags: Tags::new(),
        requires: Tags::new(),
        limits: Limits {
            timeout_ms: 60_000,
            max_silent_ms: 60_000,
        },
        again: false,
        inputs: true,
        cause: None,
        resources: grange_model::Resources::new(),
    })
}
