//! What the example farms build: one derivation, with the shell of the machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use grange::Client;
use grange::client::MemorySource;
use grange::derivation::{Builder, BuilderError, Instantiated, StoreDir};
use grange::interfaces::message::{BuildRequest, Submission};
use grange::model::{BuildId, BuildState, Tags};

/// Where a machine's own shell lies, and what it needs: what an example's sandbox shows its builds.
#[must_use]
pub fn host_paths() -> Vec<PathBuf> {
    let paths = ["/bin", "/lib", "/lib64", "/usr"].map(PathBuf::from);
    paths.into_iter().filter(|path| path.exists()).collect()
}

/// A derivation that says hello.
///
/// # Errors
///
/// None with this name; the signature is that of the authoring API.
pub fn hello() -> Result<Instantiated, BuilderError> {
    let system = format!("{}-linux", std::env::consts::ARCH);
    Builder::new(&StoreDir::guix(), "hello", system, "/bin/sh")
        .arg("-c")
        .arg("echo \"hello from $out\"; echo hello > $out")
        .instantiate()
}

/// Asks a farm to build it, waits, and fetches the output to `place`.
///
/// # Errors
///
/// The farm is not reached, refuses the build, or the build ends otherwise than well.
pub async fn build_and_fetch(
    client: &Client,
    place: &Path,
) -> Result<BuildState, Box<dyn std::error::Error>> {
    let hello = hello()?;
    let mut source = MemorySource::new();
    source.add(&hello);
    let id = BuildId(uuid::Uuid::now_v7());
    let request = BuildRequest {
        id,
        derivation: hello.path.to_string(),
        priority: 0,
        tags: Tags::new(),
        requires: Tags::new(),
        timeout_ms: Some(60_000),
        max_silent_ms: None,
        again: false,
        no_inputs: false,
    };
    let submitted = client
        .submit(vec![request], Arc::new(source), &|_| {})
        .await?;
    if let Some(Submission::Refused(refusal)) = submitted.submissions.into_iter().next() {
        return Err(refusal.into());
    }
    let state = client
        .wait([id])
        .await?
        .get(&id)
        .copied()
        .unwrap_or(BuildState::Canceled);
    if state == BuildState::Succeeded {
        let output = hello.output("out").ok_or("the derivation has an output")?;
        client.fetch(output, place).await?;
    }
    Ok(state)
}
