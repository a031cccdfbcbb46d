//! Running other programs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// Runs a program in the root; what it prints is shown.
pub(crate) fn step(name: &str, command: &[&str]) -> Result<()> {
    step_with(name, command, &[])
}

/// The same with more in its environment.
pub(crate) fn step_with(name: &str, command: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    eprintln!("xtask: {name}: {}", command.join(" "));
    let begun = Instant::now();
    let [program, arguments @ ..] = command else {
        bail!("there is nothing to run")
    };
    let mut child = Command::new(program);
    child
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root());
    let status = child
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        bail!("{name}: {program} ended with {status}");
    }
    eprintln!("xtask: {name}: {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}
