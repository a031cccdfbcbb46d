//! Who may depend on whom. ARCHITECTURE.md draws the same graph.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run;

/// Packages, and the packages of this workspace that they may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("grange-model", &[]),
    ("grange-fail-points", &[]),
    ("grange-derivation", &[]),
    ("grange-signatures", &["grange-derivation"]),
    ("grange-interfaces", &["grange-derivation", "grange-model"]),
    ("grange-coordinator-core", &["grange-model"]),
    ("grange-agent-core", &["grange-model"]),
    (
        "grange-coordinator",
        &[
            "grange-coordinator-core",
            "grange-derivation",
            "grange-fail-points",
            "grange-interfaces",
            "grange-model",
            "grange-recording",
        ],
    ),
    (
        "grange-agent",
        &[
            "grange-agent-core",
            "grange-derivation",
            "grange-fail-points",
            "grange-interfaces",
            "grange-model",
        ],
    ),
    ("grange-transport-http", EDGE_CRATE),
    ("grange-store-sqlite", EDGE_CRATE),
    ("grange-artifacts-dir", EDGE_CRATE),
    ("grange-sandbox", EDGE_CRATE),
    ("grange-daemon-protocol", SIGNING),
    ("grange-substitutes", SIGNING),
    ("grange-upstream", SIGNING),
    ("grange-vm-image", &["grange-interfaces"]),
    (
        "grange-simulation",
        &[
            "grange-agent-core",
            "grange-coordinator-core",
            "grange-model",
        ],
    ),
    (
        "grange-vm",
        &["grange-guest", "grange-signatures", "grange-vm-image"],
    ),
    ("grange-guest", &[]),
    ("grange-recording", &["grange-derivation", "grange-model"]),
    (
        "grange-replay",
        &[
            "grange-coordinator-core",
            "grange-model",
            "grange-recording",
        ],
    ),
    (
        "grange-testing",
        &[
            "grange-coordinator-core",
            "grange-derivation",
            "grange-interfaces",
            "grange-model",
        ],
    ),
    (
        "grange",
        &[
            "grange-agent",
            "grange-artifacts-dir",
            "grange-coordinator",
            "grange-daemon-protocol",
            "grange-derivation",
            "grange-interfaces",
            "grange-model",
            "grange-sandbox",
            "grange-signatures",
            "grange-store-sqlite",
            "grange-substitutes",
            "grange-transport-http",
            "grange-upstream",
        ],
    ),
];

/// What a transport, a store or a builder may depend on.
const EDGE_CRATE: &[&str] = &[
    "grange-derivation",
    "grange-fail-points",
    "grange-interfaces",
    "grange-model",
];

/// What may sign and verify as well.
const SIGNING: &[&str] = &[
    "grange-derivation",
    "grange-fail-points",
    "grange-interfaces",
    "grange-model",
    "grange-signatures",
];

/// Crates that are pure: no runtime, no I/O.
const PURE: &[&str] = &[
    "grange-model",
    "grange-derivation",
    "grange-signatures",
    "grange-coordinator-core",
    "grange-agent-core",
];

/// What a pure crate never depends on, not even through others.
const IMPURE: &[&str] = &[
    "tokio",
    "futures",
    "async-trait",
    "hyper",
    "rusqlite",
    "rustix",
    "mio",
];

/// Programs, benches, examples, fuzz targets and this crate: they may depend on anything.
const FREE: &[&str] = &[
    "grange-bins",
    "grange-benches",
    "grange-crash",
    "grange-examples",
    "grange-fuzz",
    "xtask",
];

/// Compares with what the manifests say.
pub(crate) fn check() -> Result<()> {
    let found = dependencies()?;
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    for (package, needs) in &found {
        if FREE.contains(&package.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(package.as_str()) else {
            bail!("{package} is new: say in xtask/src/edges.rs what it may depend on");
        };
        for need in needs {
            if found.contains_key(need) && !allowed.contains(&need.as_str()) {
                bail!("{package} must not depend on {need}: see ARCHITECTURE.md");
            }
            if PURE.contains(&package.as_str()) && IMPURE.contains(&need.as_str()) {
                bail!("{package} is pure and must not depend on {need}");
            }
        }
    }
    if let Some(package) = allowed
        .keys()
        .find(|package| !found.contains_key(**package))
    {
        bail!("xtask/src/edges.rs names {package}, which is not there");
    }
    Ok(())
}

/// The normal dependencies of each package of the workspace.
fn dependencies() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(run::root())
        .output()
        .context("cannot run cargo metadata")?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata is no JSON")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let normal = |package: &Value| {
        let all = package["dependencies"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        all.iter()
            .filter(|one| one["kind"].is_null())
            .map(|one| text(&one["name"]))
            .collect()
    };
    Ok(packages
        .iter()
        .map(|package| (text(&package["name"]), normal(package)))
        .collect())
}
