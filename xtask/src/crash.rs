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
    /// Power cuts of the coordinator's disk, and as many of the agents'.
    pub(crate) cuts: u32,
    /// How often each of these is bad in each way.
    pub(crate) disks: u32,
}

impl Cycles {
    /// What a tree has to stand before it may land: each fail point once, in some four minutes.
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

/// Builds the programs with their fail points, and has them die. With `demand`, only what the kernel lacks is skipped.
pub(crate) fn run(cycles: Cycles, demand: bool) -> Result<()> {
    // No cargo feature: docs/design/0010-fail-points.md.
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let flags = format!("{flags} --cfg grange_fail_points");
    run::step_with(
        "programs that can die",
        &["cargo", "build", "--package", "grange-bins"],
        &[("RUSTFLAGS", flags.trim()), ("CARGO_TARGET_DIR", TARGET)],
    )?;
    let programs = format!("{TARGET}/debug");
    let mut command: Vec<_> = [
        "cargo",
        "run",
        "--quiet",
        "--package",
        "grange-crash",
        "--",
        "--programs",
        &programs,
    ]
    .map(str::to_owned)
    .to_vec();
    if demand {
        command.push("--demand".to_owned());
    }
    command.push("all".to_owned());
    let Cycles {
        kills,
        takeovers,
        cuts,
        disks,
    } = cycles;
    for (name, count) in [
        ("--kills", kills),
        ("--takeovers", takeovers),
        ("--cuts", cuts),
        ("--disks", disks),
    ] {
        command.extend([name.to_owned(), count.to_string()]);
    }
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    run::step("crashes", &command)
}
