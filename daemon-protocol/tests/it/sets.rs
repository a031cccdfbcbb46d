//! The derivation sets that are printed for a real daemon: each behaves as the list says.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use grange_derivation::{Derivation, Dialect, StorePath};
use grange_interfaces::{BuildError, LocalStore, Stop};
use grange_model::{FailureKind, Limits};
use serde_json::Value;

use crate::rig::{Farm, LIMITS, Outcome, farm, sets};

/// Builds a derivation that is in the store, and before it what it needs.
fn build<'a>(farm: &'a Farm, path: &'a StorePath) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        let text = farm.read(path).await;
        let name = path.derivation_name().unwrap();
        let derivation = Derivation::parse(path.store(), name, &text).unwrap();
        let derivation = Arc::new(derivation);
        farm.remember(path, Arc::clone(&derivation));
        for (input, names) in &derivation.input_derivations {
            if farm.recall(input).is_none() {
                let outcome = build(farm, input).await;
                let known = matches!(outcome.error_kind(), Some("in the way") | None);
                if !known {
                    return outcome;
                }
            }
            let outputs = &farm.recall(input).unwrap().outputs;
            let wanted: Vec<_> = names
                .iter()
                .map(|name| outputs[name].path.clone())
                .collect();
            let found = farm.store.query(&wanted).await.unwrap();
            if found.iter().any(Option::is_none) {
                return build(farm, input).await;
            }
        }
        let mut job = farm.job(path, &derivation, text).await;
        if name == "long" || name == "silent" {
            // A minute each: the limits are tried elsewhere.
            job.limits = Limits {
                timeout_ms: 3000,
                ..LIMITS
            };
        }
        farm.run(&job, Stop::never()).await
    })
}

impl Outcome {
    fn error_kind(&self) -> Option<&'static str> {
        match &self.result {
            Ok(_) => None,
            Err(BuildError::Failed { .. }) => Some("failed"),
            Err(BuildError::Setup { problem, .. }) => match problem {
                grange_model::SetupProblem::OutputsInTheWay => Some("in the way"),
                grange_model::SetupProblem::Unsupported => Some("unsupported"),
                _ => Some("setup"),
            },
            Err(BuildError::Stopped) => Some("stopped"),
        }
    }
}

fn list(text: &str) -> Vec<Value> {
    match serde_json::from_str(text) {
        Ok(Value::Array(list)) => list,
        _ => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        }
    }
}

async fn behave(dialect: Dialect) {
    let Some(text) = sets(dialect) else { return };
    let Some(farm) = farm(dialect).await else {
        return;
    };
    let mut seen = BTreeSet::new();
    for entry in list(&text) {
        let word = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let path = StorePath::parse(farm.store.store_dir(), word("drv")).unwrap();
        if !seen.insert(path.clone()) {
            continue;
        }
        // Two derivations may have one output; and a test that ran before may have built it.
        for output in entry["outputs"].as_object().unwrap().values() {
            let output = StorePath::parse(path.store(), output.as_str().unwrap()).unwrap();
            // What others refer to stays.
            let _ = farm.store.delete(&output).await;
        }
        let outcome = build(&farm, &path).await;
        let got = outcome.error_kind();
        let name = word("name");
        eprintln!(
            "{dialect} {name}: {:?}",
            outcome.result.as_ref().map(|built| built.outputs.len())
        );
        match (word("expect"), got) {
            (_, Some("failed")) if name == "long" || name == "silent" => {}
            ("success", None | Some("in the way")) => {}
            ("failure", Some("failed")) => check_reason(word("reason"), &outcome),
            ("failure", Some("unsupported")) if name == "needs-feature" => {}
            ("either", None | Some("failed")) => {}
            // The one tries any system, the other none but its own.
            ("success" | "failure", Some("failed" | "unsupported"))
                if word("set") == "other-system" => {}
            (expected, _) => panic!("{name}: {expected} was expected, and this came: {outcome:?}"),
        }
    }
    assert!(!seen.is_empty());
}

fn check_reason(reason: &str, outcome: &Outcome) {
    let BuildError::Failed { kind, message } = outcome.error() else {
        panic!("{outcome:?}");
    };
    let right = match reason {
        "dependency" => matches!(kind, FailureKind::Exit(3)),
        "no output" => matches!(kind, FailureKind::MissingOutput(_)),
        "hash mismatch" => *kind == FailureKind::HashMismatch,
        "forbidden reference" => *kind == FailureKind::ForbiddenReference,
        "compile error" | "clock after 2021-01-01" | "" => matches!(kind, FailureKind::Exit(_)),
        _ => true,
    };
    assert!(right, "{reason} was expected, and {kind:?} came: {message}");
}

#[tokio::test]
async fn guix() {
    behave(Dialect::Guix).await;
}

#[tokio::test]
async fn nix() {
    behave(Dialect::Nix).await;
}
