//! `grange build DRV…`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use grange_coordinator::client::{Client, DirectorySource, Progress};
use grange_derivation::{StoreDir, StorePath};
use grange_interfaces::Refusal;
use grange_interfaces::message::{BuildRequest, Submission};
use grange_model::{BuildId, BuildState, Tags};
use grange_vm::traps::{Catalogue, Package};
use serde_json::json;
use uuid::Uuid;

use super::{resolve, traps, wait};
use crate::cli::{BuildOptions, EnvironmentArg, Global, resources, tags};
use crate::connect::connect;
use crate::durations::milliseconds;
use crate::failure::{self, Exit};
use crate::output::{Output, note, refusal_json};
use crate::progress::Uploading;

/// A build that was accepted.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) id: BuildId,
    pub(super) path: StorePath,
    pub(super) directory: PathBuf,
}

pub(super) async fn run(
    global: &Global,
    files: &[PathBuf],
    options: &BuildOptions,
    output: Output,
) -> anyhow::Result<Exit> {
    if options.id.is_some() && files.len() > 1 {
        return Err(failure::usage(
            "--id names one build, so there can be one derivation only",
        ));
    }
    let mut named = Vec::new();
    for file in files {
        named.push(resolve::derivation(file)?);
    }
    let (client, welcome) = connect(global).await?;
    let mut wanted: BTreeMap<(StoreDir, PathBuf), Vec<(BuildId, StorePath)>> = BTreeMap::new();
    for named in named {
        let store = named.path.store().clone();
        if !welcome
            .store_dirs
            .iter()
            .any(|served| served == store.as_str())
        {
            note(&format!(
                "{store} is not among the stores that this coordinator serves ({})",
                welcome.store_dirs.join(", ")
            ));
        }
        let directory = options.store.clone().unwrap_or(named.directory);
        let id = options.id.unwrap_or_else(|| BuildId(Uuid::now_v7()));
        wanted
            .entry((store, directory))
            .or_default()
            .push((id, named.path));
    }
    // Where the journal ends now: what the submission sets in motion comes behind it.
    let (_, before) = client.facts(None, 0).await?;
    let mut accepted = Vec::new();
    let mut refused = None;
    for ((store, directory), builds) in wanted {
        let source = DirectorySource::new(store, directory.clone());
        for (id, path, submission) in submit(&client, source, builds, options, output).await? {
            match submission {
                Submission::Accepted { state, warnings } => {
                    tell(output, id, &path, state, &warnings)?;
                    accepted.push(Accepted {
                        id,
                        path,
                        directory: directory.clone(),
                    });
                }
                Submission::Refused(refusal) => {
                    refused = Some(tell_refused(output, id, &path, refusal)?)
                }
                _ => anyhow::bail!("the coordinator's answer is of a newer version"),
            }
        }
    }
    if let Some(refusal) = refused {
        return Err(anyhow::Error::from(refusal).context("not all builds were accepted"));
    }
    if options.wait {
        wait::run(&client, &accepted, before, output).await
    } else {
        Ok(Exit::Done)
    }
}

async fn submit(
    client: &Client,
    source: DirectorySource,
    builds: Vec<(BuildId, StorePath)>,
    options: &BuildOptions,
    output: Output,
) -> anyhow::Result<Vec<(BuildId, StorePath, Submission)>> {
    let mut needed = Vec::new();
    for (_, path) in &builds {
        needed.push(requires(path, options)?);
    }
    let requests = builds
        .iter()
        .zip(needed)
        .map(|((id, path), requires)| BuildRequest {
            id: *id,
            derivation: path.to_string(),
            priority: options.priority,
            tags: tags(&options.tags),
            requires,
            resources: resources(&options.resources),
            timeout_ms: options.timeout.map(milliseconds),
            max_silent_ms: options.max_silent.map(milliseconds),
            again: options.again,
            no_inputs: options.no_inputs,
        });
    let uploading = Uploading::new(!output.is_json());
    let report = |progress: &Progress| uploading.show(progress);
    let submitted = client
        .submit(requests.collect(), Arc::new(source), &report)
        .await;
    uploading.end();
    let answers = submitted?.submissions;
    Ok(builds
        .into_iter()
        .zip(answers)
        .map(|((id, path), answer)| (id, path, answer))
        .collect())
}

/// What the agent must offer: what was said, and the environment in which it still builds.
fn requires(path: &StorePath, options: &BuildOptions) -> anyhow::Result<Tags> {
    let mut requires = tags(&options.requires);
    if options.environment == Some(EnvironmentArg::Auto) {
        let name = path.name().trim_end_matches(".drv");
        let package = Package::of(name);
        let environment = Catalogue::shipped().environment(&package, traps::now())?;
        if !environment.is_any() {
            note(&format!(
                "{name} is in a trap: it is built in {environment}"
            ));
        }
        for (key, value) in environment.tags() {
            // What was said counts more.
            requires.entry(key.to_owned()).or_insert(value);
        }
    }
    Ok(requires)
}

fn tell(
    output: Output,
    id: BuildId,
    path: &StorePath,
    state: BuildState,
    warnings: &[String],
) -> anyhow::Result<()> {
    for warning in warnings {
        note(&format!("{}: {warning}", path.name()));
    }
    let value =
        json!({ "id": id, "derivation": path.to_string(), "state": state, "warnings": warnings });
    output.value(&value, |_| id.to_string())
}

fn tell_refused(
    output: Output,
    id: BuildId,
    path: &StorePath,
    refusal: Refusal,
) -> anyhow::Result<Refusal> {
    note(&format!("{path}: {refusal}"));
    if output.is_json() {
        let value =
            json!({ "id": id, "derivation": path.to_string(), "refused": refusal_json(&refusal) });
        output.value(&value, |_| String::new())?;
    }
    Ok(refusal)
}
