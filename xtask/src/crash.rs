//! Kills, power cuts and bad disks, with programs of a test build.

use anyhow::Result;

use crate::run;

/// Where the test build lies: another one than that of the programs that people run.
const TARGET: &str = "target/fail-points";

/// How often what is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cycles {
    pub(crate) kills: u32,
    /// Kills where leases run out.
    pub(crate) takeovers: u32,
    pub(crate) cuts: u32,
    pub(crate) disks: u32,
}

impl Cycles {
    /// What a tree has to stand before it may land: each fail point once, within three minutes.
    pub(crate) const VERIFY: Self = Self {
        kills: 1,
        takeovers: 1,
        cuts: 10,
        disks: 1,
    };

    /// So many kills, and of the others as many as take about as long.
    pub(crate) fn of(kills: u32) -> Self {
        Self {
            kills,
            takeovers: kills.div_ceil(10),
            cuts: kills.div_ceil(3),
            disks: kills.div_ceil(30),
        }
    }
}

/// Builds the programs with their fail points, and has them die.
pub(crate) fn run(cycles: Cycles) -> Result<()> {
    // No cargo feature: docs/design/0010-fail-points.md.
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let flags = format!("{flags} --cfg grange_fail_points");
    run::step_with(
        "programs that can die",
        &["cargo", "build", "--package", "grange-bins"],
        &[("RUSTFLAGS", flags.trim()), ("CARGO_TARGET_DIR", TARGET)],
    )?;
    let programs = format!("{TARGET}/debug");
    let Cycles {
        kills,
        takeovers,
        cuts,
        disks,
    } = cycles;
    for (what, cycles) in [
        ("kills", kills),
        ("takeovers", takeovers),
        ("power", cuts),
        ("disks", disks),
    ] {
        let cycles = cycles.to_string();
        let command = [
            "cargo",
            "run",
            "--quiet",
            "--package",
            "grange-crash",
            "--",
            "--programs",
            &programs,
            what,
            "--cycles",
            &cycles,
        ];
        run::step(what, &command)?;
    }
    Ok(())
}
