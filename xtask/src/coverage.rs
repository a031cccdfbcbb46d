//! Which lines of the cores the tests come to.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run;

/// Where the instrumented build lies.
const TARGET: &str = "target/coverage";
/// How many of a core's lines the tests must come to, in hundredths.
const LEAST: f64 = 90.0;
/// The crates whose lines are counted; their own tests and the simulator run them.
const CORES: [&str; 2] = ["coordinator-core", "agent-core"];

/// Runs the cores' tests and the simulator's with instrumentation, and prints how many lines of the cores
/// they came to. Needs the `llvm-profdata` and `llvm-cov` of the compiler's LLVM (Debian: `llvm-22`).
pub(crate) fn coverage() -> Result<()> {
    let tools = tools()?;
    let target = run::root().join(TARGET);
    let profiles = target.join("profiles");
    let _ = fs::remove_dir_all(&profiles);
    let flags = "-C instrument-coverage";
    let pattern = profiles.join("%p-%m.profraw");
    let environment = [
        ("RUSTFLAGS", flags),
        ("CARGO_TARGET_DIR", TARGET),
        (
            "LLVM_PROFILE_FILE",
            pattern.to_str().context("a path that is no text")?,
        ),
    ];
    let tests = [
        "cargo",
        "test",
        "--quiet",
        "--package",
        "grange-coordinator-core",
        "--package",
        "grange-agent-core",
        "--package",
        "grange-simulation",
        "--tests",
    ];
    run::step_with("tests, instrumented", &tests, &environment)?;
    let merged = target.join("merged.profdata");
    let mut merge = Command::new(tools.join("llvm-profdata"));
    merge
        .args(["merge", "--sparse", "-o"])
        .arg(&merged)
        .arg(&profiles);
    if !merge
        .status()
        .context("cannot run llvm-profdata")?
        .success()
    {
        bail!("the profiles could not be merged");
    }
    let mut export = Command::new(tools.join("llvm-cov"));
    export
        .args(["export", "--summary-only", "--instr-profile"])
        .arg(&merged);
    for program in programs()? {
        export.arg("--object").arg(program);
    }
    let output = export.output().context("cannot run llvm-cov")?;
    if !output.status.success() {
        bail!("llvm-cov: {}", String::from_utf8_lossy(&output.stderr));
    }
    print(&serde_json::from_slice(&output.stdout)?)
}

/// The directory of LLVM's tools that fit the compiler.
fn tools() -> Result<PathBuf> {
    let said = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let said = String::from_utf8_lossy(&said.stdout);
    let version = said
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "));
    let major = version.and_then(|version| version.split('.').next());
    let major = major.context("rustc does not say which LLVM it has")?;
    let tools = PathBuf::from(format!("/usr/lib/llvm-{major}/bin"));
    if !tools.join("llvm-cov").exists() {
        bail!("there is no llvm-cov of LLVM {major}: apt-get install llvm-{major}");
    }
    Ok(tools)
}

/// The test programs, as cargo names them.
fn programs() -> Result<Vec<PathBuf>> {
    let deps = run::root().join(TARGET).join("debug/deps");
    let mut programs = Vec::new();
    for entry in fs::read_dir(&deps).context("the tests were not built")? {
        let path = entry?.path();
        let program = path.extension().is_none() && path.is_file();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if program && (name.starts_with("it-") || name.starts_with("grange_")) {
            programs.push(path);
        }
    }
    Ok(programs)
}

fn print(report: &Value) -> Result<()> {
    let files = report["data"][0]["files"]
        .as_array()
        .context("llvm-cov says nothing")?;
    let mut few = false;
    for core in CORES {
        let (mut count, mut covered) = (0, 0);
        let mut worst: Vec<(u64, String)> = Vec::new();
        for file in files {
            let name = file["filename"].as_str().unwrap_or_default();
            let Some((_, name)) = name.split_once(&format!("/{core}/src/")) else {
                continue;
            };
            let lines = &file["summary"]["lines"];
            let of = lines["count"].as_u64().unwrap_or(0);
            let hit = lines["covered"].as_u64().unwrap_or(0);
            count += of;
            covered += hit;
            worst.push((of - hit, name.to_owned()));
        }
        if count == 0 {
            bail!("no line of {core} was instrumented");
        }
        worst.sort();
        let worst = worst.iter().rev().take(3).filter(|(missed, _)| *missed > 0);
        let worst: Vec<_> = worst
            .map(|(missed, name)| format!("{name}: {missed}"))
            .collect();
        let percent = covered as f64 * 100.0 / count as f64;
        few |= percent < LEAST;
        eprintln!(
            "{core}: {covered} of {count} lines, {percent:.1} %; missed most in {}",
            worst.join(", ")
        );
    }
    if few {
        bail!("the tests come to fewer than {LEAST} % of a core's lines");
    }
    Ok(())
}
