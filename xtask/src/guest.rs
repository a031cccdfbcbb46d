//! The program that runs in virtual build machines.

use anyhow::Result;

use crate::run;

/// Where it is built, apart from all else: with other flags, and without the host's end.
const PLACE: &str = "target/guest";
/// What it is built for.
const MACHINE: &str = "x86_64-unknown-linux-gnu";

/// Builds it, static, and puts it beside the programs that were built in `target`, where `grange vm image build` looks for it.
pub(crate) fn build() -> Result<()> {
    if cfg!(not(target_arch = "x86_64")) {
        eprintln!("xtask: guest program: skipped: machines are of x86-64");
        return Ok(());
    }
    run::step_with(
        "guest program",
        &[
            "cargo",
            "build",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "grange-guest",
            "--no-default-features",
            "--bin",
            "grange-guest",
            "--target",
            MACHINE,
            "--target-dir",
            PLACE,
        ],
        &[
            ("RUSTFLAGS", "-C target-feature=+crt-static"),
            ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
        ],
    )?;
    let built = run::root()
        .join(PLACE)
        .join(MACHINE)
        .join("release/grange-guest");
    for beside in ["target/debug", "target/release"] {
        let directory = run::root().join(beside);
        if directory.exists() {
            // Cargo builds one that is not static under the plain name.
            std::fs::copy(&built, directory.join("grange-guest-static"))?;
        }
    }
    Ok(())
}
