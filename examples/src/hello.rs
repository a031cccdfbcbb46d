//! What the example farms build: a derivation or two, with the shell of the machine.

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

/// A derivation that fails.
///
/// # Errors
///
/// As [`hello`].
pub fn failure() -> Result<Instantiated, BuilderError> {
    let system = format!("{}-linux", std::env::consts::ARCH);
    Builder::new(&StoreDir::guix(), "failure", system, "/bin/sh")
        .arg("-c")
        .arg("echo \"there is nothing to say\"; exit 3")
        .instantiate()
}

/// Asks a farm to build something with this priority, and waits for its end.
///
/// # Errors
///
/// The farm is not reached, or refuses the build.
pub async fn build(
    client: &Client,
    made: &Instantiated,
    priority: i32,
) -> Result<BuildState, Box<dyn std::error::Error>> {
    let mut source = MemorySource::new();
    source.add(made);
    let id = BuildId(uuid::Uuid::now_v7());
    let request = BuildRequest {
        id,
        derivation: made.path.to_string(),
        priority,
        tags: Tags::new(),
        requires: Tags::new(),
        timeout_ms: Some(60_000),
        max_silent_ms: None,
        again: false,
        no_inputs: false,
        resources: grange::model::Resources::new(),
    };
    let submitted = client
        .submit(vec![request], Arc::new(source), &|_| {})
        .await?;
    if let Some(Submission::Refused(refusal)) = submitted.submissions.into_iter().next() {
        return Err(refusal.into());
    }
    let ends = client.wait([id]).await?;
    Ok(ends.get(&id).copied().unwrap_or(BuildState::Canceled))
}

/// Asks a farm to say hello, waits, and fetches the output to `place`.
///
/// # Errors
///
/// The farm is not reached, refuses the build, or the build ends otherwise than well.
pub async fn build_and_fetch(
    client: &Client,
    place: &Path,
) -> Result<BuildState, Box<dyn std::error::Error>> {
    let hello = hello()?;
    let state = build(client, &hello, 0).await?;
    if state == BuildState::Succeeded {
        let output = hello.output("out").ok_or("the derivation has an output")?;
        client.fetch(output, place).await?;
    }
    Ok(state)
}
