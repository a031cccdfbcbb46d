//! `grange traps`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use grange_derivation::Derivation;
use grange_vm::traps::{Catalogue, Package, Trap};
use serde::Serialize;

use super::resolve;
use crate::cli::{TrapsArgs, TrapsCommand};
use crate::failure::{self, Exit};
use crate::output::{Output, note, table};

/// So many derivations are looked at; what is beyond them is said to be.
const MOST: usize = 200_000;

/// A derivation that is in a trap.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Caught {
    derivation: PathBuf,
    environment: String,
    traps: Vec<Trap>,
}

pub(super) fn run(args: &TrapsArgs, output: Output) -> anyhow::Result<Exit> {
    let catalogue = catalogue(&args.files)?;
    match &args.command {
        TrapsCommand::List => {
            list(&catalogue, output)?;
            Ok(Exit::Done)
        }
        TrapsCommand::Check { derivations } => check(&catalogue, derivations, output),
    }
}

/// What is shipped, and what is in those files.
pub(super) fn catalogue(files: &[PathBuf]) -> anyhow::Result<Catalogue> {
    let mut catalogue = Catalogue::shipped();
    for file in files {
        let text = std::fs::read_to_string(file)
            .map_err(|error| failure::config(format!("the traps {}: {error}", file.display())))?;
        let further = Catalogue::read(&text).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            failure::config(format!("the traps {}: {error}{cause}", file.display()))
        })?;
        catalogue.extend(further);
    }
    Ok(catalogue)
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn list(catalogue: &Catalogue, output: Output) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for trap in catalogue.traps() {
        if output.is_json() {
            output.value(trap, |_| String::new())?;
            continue;
        }
        let (from, until) = (trap.from.as_deref(), trap.until.as_deref());
        let expires = trap.expires.map(|date| date.tag());
        rows.push(vec![
            trap.package.clone(),
            format!(
                "{}..{}",
                from.unwrap_or_default(),
                until.unwrap_or_default()
            ),
            expires.unwrap_or_else(|| "always".into()),
            trap.environment.to_string(),
            trap.why.clone(),
        ]);
    }
    if !rows.is_empty() {
        output.line(&table(
            &["PACKAGE", "VERSIONS", "FAILS FROM", "BUILDS IN", "WHY"],
            &rows,
        ))?;
    }
    Ok(())
}

fn check(catalogue: &Catalogue, given: &[PathBuf], output: Output) -> anyhow::Result<Exit> {
    let now = now();
    let mut waiting: Vec<PathBuf> = given.to_vec();
    let mut seen: BTreeSet<PathBuf> = waiting.iter().cloned().collect();
    let (mut caught, mut looked, mut absent, mut beyond) = (0, 0, 0, false);
    while let Some(path) = waiting.pop() {
        looked += 1;
        let package = package(&path)?;
        let traps: Vec<Trap> = catalogue.catching(&package, now).cloned().collect();
        if !traps.is_empty() {
            caught += 1;
            let environment = match catalogue.environment(&package, now) {
                Ok(environment) => environment.to_string(),
                Err(error) => error.to_string(),
            };
            let found = Caught {
                derivation: path.clone(),
                environment,
                traps,
            };
            output.value(&found, |found| {
                let whys = found
                    .traps
                    .iter()
                    .map(|trap| format!("\n  {} ({})", trap.why, trap.evidence));
                format!(
                    "{}: builds in {}{}",
                    found.derivation.display(),
                    found.environment,
                    whys.collect::<String>()
                )
            })?;
        }
        let Some(inputs) = inputs(&path, given.contains(&path))? else {
            absent += 1;
            continue;
        };
        for input in inputs {
            if seen.contains(&input) {
                continue;
            }
            beyond |= seen.len() == MOST;
            if !beyond {
                seen.insert(input.clone());
                waiting.push(input);
            }
        }
    }
    if absent > 0 {
        note(&format!(
            "what {absent} derivations depend on was not looked at: they are not here"
        ));
    }
    if beyond {
        note(&format!("only {MOST} derivations were looked at"));
    }
    if caught == 0 && !output.is_json() {
        output.line(&format!(
            "none of {looked} derivations is in a trap that is known"
        ))?;
    }
    Ok(if caught == 0 { Exit::Done } else { Exit::Error })
}

/// The package that a derivation's file name says.
pub(super) fn package(path: &Path) -> anyhow::Result<Package> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let name = name.strip_suffix(".drv").and_then(|name| name.get(33..));
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| {
        failure::usage(format!(
            "{}: a derivation is called HASH-NAME.drv",
            path.display()
        ))
    })?;
    Ok(Package::of(name))
}

/// What a derivation depends on. None if it is not here; one that was asked for must be.
fn inputs(path: &Path, asked: bool) -> anyhow::Result<Option<Vec<PathBuf>>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !asked => {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let named = resolve::derivation(path)?;
    let name = named.path.name().trim_end_matches(".drv");
    let derivation = Derivation::parse(named.path.store(), name, &text)
        .with_context(|| format!("{} is no derivation", path.display()))?;
    let beside = path.parent().unwrap_or_else(|| Path::new("."));
    // In a store they have their own paths; in a directory of copies they lie beside each other.
    let paths = derivation.input_derivations.keys().map(|input| {
        let input = PathBuf::from(input.to_string());
        let copy = input.file_name().map(|name| beside.join(name));
        copy.filter(|copy| copy.exists()).unwrap_or(input)
    });
    Ok(Some(paths.collect()))
}
