//! Derivations that cost next to nothing, and the sandbox builder called in a loop.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use grange::Client;
use grange::client::MemorySource;
use grange::derivation::{Builder as Recipe, BuilderError, Instantiated, StoreDir};
use grange::interfaces::message::{BuildRequest, Submission};
use grange::interfaces::{Builder as _, Job, Log, Stop};
use grange::model::{BuildId, BuildState, Limits, Tags};
use grange::sandbox::{SandboxBuilder, SandboxConfig, SandboxStore, StoreConfig};
use uuid::Uuid;

/// What builds here see of the machine: its shell, and what that needs.
#[must_use]
pub fn host_paths() -> Vec<PathBuf> {
    let paths = ["/bin", "/lib", "/lib64", "/usr"].map(PathBuf::from);
    paths.into_iter().filter(|path| path.exists()).collect()
}

/// What this machine builds for.
#[must_use]
pub fn system() -> String {
    format!("{}-linux", std::env::consts::ARCH)
}

/// A derivation that runs a script in the machine's shell.
///
/// # Errors
///
/// The name cannot be one.
pub fn script(name: &str, script: &str) -> Result<Instantiated, BuilderError> {
    Recipe::new(&StoreDir::guix(), name, system(), "/bin/sh")
        .arg("-c")
        .arg(script)
        .instantiate()
}

/// `count` derivations that write a line, no two of them alike as long as no label is used twice.
///
/// # Errors
///
/// The label cannot be part of a name.
pub fn lines(label: &str, count: usize) -> Result<Vec<Instantiated>, BuilderError> {
    let one = |number| script(&format!("{label}-{number}"), "echo $name > $out");
    (0..count).map(one).collect()
}

/// A request to build this.
#[must_use]
pub fn request(derivation: &Instantiated) -> BuildRequest {
    request_for(&derivation.path)
}

/// A request to build the derivation of this path.
#[must_use]
pub fn request_for(derivation: &impl ToString) -> BuildRequest {
    BuildRequest {
        id: BuildId(Uuid::now_v7()),
        derivation: derivation.to_string(),
        priority: 0,
        tags: Tags::new(),
        requires: Tags::new(),
        timeout_ms: None,
        max_silent_ms: None,
        again: false,
        no_inputs: false,
        resources: grange_model::Resources::new(),
    }
}

/// What a client sends along.
#[must_use]
pub fn source(derivations: &[Instantiated]) -> Arc<MemorySource> {
    let mut source = MemorySource::new();
    for derivation in derivations {
        source.add(derivation);
    }
    Arc::new(source)
}

/// Submits derivations, and returns the builds.
///
/// # Errors
///
/// The coordinator is not reached, or refuses one of them.
pub async fn submit(client: &Client, all: &[Instantiated]) -> anyhow::Result<Vec<BuildId>> {
    submit_to(client, all, &Tags::new()).await
}

/// Submits derivations for agents that have these tags, and returns the builds.
async fn submit_to(
    client: &Client,
    all: &[Instantiated],
    requires: &Tags,
) -> anyhow::Result<Vec<BuildId>> {
    let requests = all.iter().map(|one| BuildRequest {
        requires: requires.clone(),
        ..request(one)
    });
    let requests: Vec<_> = requests.collect();
    let ids = requests.iter().map(|request| request.id).collect();
    let submitted = client.submit(requests, source(all), &|_| {}).await?;
    for submission in submitted.submissions {
        if let Submission::Refused(refusal) = submission {
            return Err(refusal.into());
        }
    }
    Ok(ids)
}

/// Submits derivations, and waits until all are built.
///
/// # Errors
///
/// The coordinator is not reached, or one of them is not built.
pub async fn build(client: &Client, all: &[Instantiated]) -> anyhow::Result<()> {
    build_on(client, all, &Tags::new()).await
}

/// Submits derivations for agents that have these tags, and waits until all are built.
///
/// # Errors
///
/// The coordinator is not reached, or one of them is not built.
pub async fn build_on(
    client: &Client,
    all: &[Instantiated],
    requires: &Tags,
) -> anyhow::Result<()> {
    // A `Waiter` looks at every build before it listens; what is measured here shall not depend on that.
    let (_, mut seen) = client.facts(None, 0).await?;
    let mut open: BTreeSet<BuildId> = submit_to(client, all, requires)
        .await?
        .into_iter()
        .collect();
    while !open.is_empty() {
        let (facts, last) = client.facts(Some(seen), 25_000).await?;
        seen = last;
        for fact in facts.iter().filter(|fact| fact.what == "ended") {
            for build in fact.builds.iter().filter(|build| open.remove(*build)) {
                let state = fact.state;
                anyhow::ensure!(
                    state == Some(BuildState::Succeeded),
                    "build {build} ended as {state:?}"
                );
            }
        }
    }
    Ok(())
}

/// The sandbox builder, with a store of its own and nothing around it.
#[derive(Debug)]
pub struct Bare(SandboxBuilder);

impl Bare {
    /// A builder whose store lies in `directory`.
    ///
    /// # Errors
    ///
    /// This machine lacks what the sandbox needs.
    pub async fn new(directory: &Path) -> anyhow::Result<Self> {
        let config = StoreConfig::new(directory.join("store"), StoreDir::guix());
        let store = SandboxStore::open(config)?;
        let mut sandbox = SandboxConfig::default();
        sandbox.sandbox_paths = host_paths();
        Ok(Self(SandboxBuilder::new(Arc::new(store), sandbox).await?))
    }

    /// Builds these, one after the other: runs each, makes its output canonical, scans, hashes and registers it.
    ///
    /// # Errors
    ///
    /// One of them is not built.
    pub async fn build(&self, all: &[Instantiated]) -> anyhow::Result<()> {
        for one in all {
            let job = Job {
                path: one.path.clone(),
                derivation: Arc::new(one.derivation.clone()),
                text: one.text.clone().into(),
                inputs: Vec::new(),
                limits: Limits {
                    timeout_ms: 60_000,
                    max_silent_ms: 60_000,
                },
                cores: 1,
            };
            let (log, mut receiver) = Log::new(64);
            let stop = Stop::never();
            let drain = async { while receiver.next().await.is_some() {} };
            let (built, ()) = tokio::join!(self.0.build(&job, log, stop), drain);
            built?;
        }
        Ok(())
    }
}
