//! `grange substitutes`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use grange_coordinator::client::{ClosureSource as _, DirectorySource};
use grange_derivation::{Derivation, StorePath};
use grange_interfaces::{Upstream, UpstreamError};
use serde::Serialize;

use super::resolve;
use crate::cli::{CheckArgs, SubstitutesCommand};
use crate::failure::Exit;
use crate::output::Output;
use crate::upstream::UpstreamSettings;

/// How many outputs are asked for at once.
const PART: usize = 500;

/// What a server has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Found {
    server: String,
    outputs: usize,
    available: usize,
    /// Bytes of what is available, unpacked.
    nar_size: u64,
    missing: Vec<String>,
    /// Why nothing is known of some that count as missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<String>,
}

pub(super) async fn run(command: SubstitutesCommand, output: Output) -> anyhow::Result<Exit> {
    let SubstitutesCommand::Check(args) = command;
    let outputs: Vec<_> = outputs(&args).await?.into_iter().collect();
    let mut missing: BTreeSet<_> = outputs.iter().collect();
    let mut is_unavailable = false;
    let servers = UpstreamSettings {
        urls: args.urls,
        keys: args.keys,
        ca: args.substitute_ca,
        ..UpstreamSettings::default()
    };
    for (url, server) in servers.open_each()? {
        let asked = ask(url, &*server, &outputs).await;
        for path in asked.has {
            missing.remove(path);
        }
        is_unavailable |= asked.found.unavailable.is_some();
        output.value(&asked.found, show)?;
    }
    Ok(match missing.is_empty() {
        true => Exit::Done,
        false if is_unavailable => Exit::Unavailable,
        false => Exit::Error,
    })
}

/// The outputs of the derivations, and of what they need if that is asked for.
async fn outputs(args: &CheckArgs) -> anyhow::Result<BTreeSet<StorePath>> {
    let mut outputs = BTreeSet::new();
    let mut seen: BTreeSet<(PathBuf, StorePath)> = BTreeSet::new();
    let mut left = Vec::new();
    for file in &args.derivations {
        let named = resolve::derivation(file)?;
        left.push((named.directory, named.path));
    }
    while let Some((directory, path)) = left.pop() {
        if !seen.insert((directory.clone(), path.clone())) {
            continue;
        }
        let source = DirectorySource::new(path.store().clone(), &directory);
        let text = source.derivation_text(&path).await?;
        let name = path.derivation_name().unwrap_or_default();
        let derivation = Derivation::parse(path.store(), name, &text)
            .with_context(|| format!("{path} is no derivation"))?;
        outputs.extend(derivation.outputs.into_values().map(|output| output.path));
        if args.inputs {
            let inputs = derivation.input_derivations.into_keys();
            left.extend(inputs.map(|input| (directory.clone(), input)));
        }
    }
    Ok(outputs)
}

/// What a server has said.
#[derive(Debug)]
struct Asked<'a> {
    found: Found,
    has: Vec<&'a StorePath>,
}

async fn ask<'a>(url: &str, server: &dyn Upstream, outputs: &'a [StorePath]) -> Asked<'a> {
    let mut has = Vec::new();
    let mut found = Found {
        server: url.to_owned(),
        outputs: outputs.len(),
        available: 0,
        nar_size: 0,
        missing: Vec::new(),
        unavailable: None,
    };
    for part in outputs.chunks(PART) {
        let answers = server.find(part).await;
        for (path, answer) in part.iter().zip(answers) {
            match answer {
                Ok(Some(info)) => {
                    found.available += 1;
                    found.nar_size += info.nar_size;
                    has.push(path);
                    continue;
                }
                Ok(None) => {}
                Err(error @ UpstreamError::Lied { .. }) => tracing::warn!(%path, %error),
                Err(error) => found.unavailable = Some(error.to_string()),
            }
            found.missing.push(path.to_string());
        }
    }
    Asked { found, has }
}

fn show(found: &Found) -> String {
    let share = found.available * 100 / found.outputs.max(1);
    let mut lines = vec![format!(
        "{}: {} of {} outputs ({share} %), {} bytes unpacked",
        found.server, found.available, found.outputs, found.nar_size
    )];
    let missing = found.missing.iter();
    lines.extend(missing.map(|path| format!("  missing: {path}")));
    if let Some(why) = &found.unavailable {
        lines.push(format!("  of some of these nothing is known: {why}"));
    }
    lines.join("\n")
}
