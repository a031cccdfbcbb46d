//! How many instructions the core takes for a build, where there are few and where there are many.
//!
//! Time says as much of the machine as of the core; instructions are the same in each run. Callgrind counts them, and only
//! those that are executed in calls of the core, not what stands around it.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::run;

/// What is grown from.
const FEW: u32 = 10_000;
/// What the check grows to: in a minute.
const CHECKED: u32 = 100_000;
/// With a hundred times as many builds, each may take so many times as many instructions; the same for each step of that, so
/// with ten times as many the root of it.
const GROWTH_OF_HUNDREDFOLD: f64 = 1.3;
/// Where calls of the core are made, `grange_replay::shell::Shell::timed`, however it is mangled.
const CALLS: &str = "--toggle-collect=*grange_replay*Shell*timed*";
/// The least that submitting and finishing a build can take. Less means that something else was counted.
const LEAST: f64 = 1_000.0;

/// `cargo xtask growth`, with these arguments.
pub(crate) fn growth(arguments: &[&str]) -> Result<()> {
    let many = match arguments {
        [] => CHECKED,
        ["--to", number] => number.parse().context("--to wants a number")?,
        _ => bail!("growth [--to BUILDS]"),
    };
    if many <= FEW {
        bail!("--to wants more than {FEW}");
    }
    if !has_valgrind() {
        bail!("there is no valgrind");
    }
    check(many)
}

/// Before a tree may land. With `installed`, nothing is skipped.
pub(crate) fn verify(installed: bool) -> Result<()> {
    if !installed && !has_valgrind() {
        eprintln!("xtask: growth: skipped: there is no valgrind");
        return Ok(());
    }
    check(CHECKED)
}

fn has_valgrind() -> bool {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    valgrind.status().is_ok_and(|status| status.success())
}

fn check(many: u32) -> Result<()> {
    let begun = Instant::now();
    // The simulator is named so that features are the same as where it was built: the core is not built once more.
    let build = [
        "cargo",
        "build",
        "--quiet",
        "--release",
        "--package",
        "grange-simulation",
        "--package",
        "grange-replay",
        "--example",
        "operations",
    ];
    run::step("operations", &build)?;
    // Both at once: neither hears of the other.
    let (one, other) = (start(FEW)?, start(many)?);
    let (few, more) = (instructions(one, FEW)?, instructions(other, many)?);
    let limit = GROWTH_OF_HUNDREDFOLD.powf((f64::from(many) / f64::from(FEW)).log10() / 2.0);
    let ratio = more / few;
    eprintln!(
        "xtask: growth: {few:.0} instructions to submit and finish one of {FEW} builds, {more:.0} one of {many}: {ratio:.3} times as many, at most {limit:.3}; {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    if ratio > limit {
        bail!("growth: the more builds there are, the more does each of them take");
    }
    Ok(())
}

fn start(builds: u32) -> Result<Child> {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| run::root().join("target"), |it| run::root().join(it));
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--collect-atstart=no",
            CALLS,
        ])
        .arg(target.join("release/examples/operations"))
        .arg(builds.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    valgrind.spawn().context("cannot run valgrind")
}

/// What it says at the end, for each build.
fn instructions(child: Child, builds: u32) -> Result<f64> {
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stdout);
        bail!(
            "growth: valgrind ended with {}: {printed}{said}",
            output.status
        );
    }
    let collected = said.lines().find_map(|line| {
        let (_, number) = line.split_once("Collected : ")?;
        number.trim().parse::<f64>().ok()
    });
    let collected =
        collected.with_context(|| format!("growth: valgrind says no number: {said}"))?;
    let each = collected / f64::from(builds);
    if each < LEAST {
        bail!("growth: {each:.0} instructions for each build: the calls of the core are not found");
    }
    Ok(each)
}
