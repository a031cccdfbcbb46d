//! Simulated farms, many of them.

use anyhow::{Result, bail};

use crate::run;

/// Seeds that `verify` runs.
const SWEEP: &str = "1000";

/// `cargo xtask sim`, with these arguments.
pub(crate) fn sim(arguments: &[&str]) -> Result<()> {
    if let ["--bugs"] = arguments {
        return bugs();
    }
    if arguments.contains(&"--bugs") {
        bail!("`--bugs` stands alone");
    }
    let mut command = vec![
        "cargo",
        "run",
        "--quiet",
        "--release",
        "--package",
        "grange-simulation",
        "--example",
        "sweep",
        "--",
    ];
    command.extend(arguments);
    run::step("simulation", &command)
}

/// A sweep, and whether it would find anything.
pub(crate) fn verify() -> Result<()> {
    sim(&["--seeds", SWEEP])?;
    bugs()
}

/// Puts each bug back that the simulator, or the comparison with the reference model, must find.
fn bugs() -> Result<()> {
    for (package, tests) in [
        ("grange-simulation", "bugs::"),
        ("grange-testing", "reference_bugs::"),
    ] {
        run::step_with(
            "bugs put back",
            &[
                "cargo",
                "test",
                "--quiet",
                "--release",
                "--package",
                package,
                "--target-dir",
                "target/bugs",
                "--test",
                "it",
                tests,
                "--",
                "--nocapture",
            ],
            &[("RUSTFLAGS", "--cfg grange_bugs")],
        )?;
    }
    Ok(())
}
