//! How machines are shared between equal submitters who all have more to build than fits.
//!
//! Four of them ask at once for all of Guix each, of packages of their own. Forty machines build in virtual time on the real core, with
//! a share for each submitter and without. In every hour in which each had something ready that waited, each should have a
//! quarter of the work done. The last builds of an hour may be anybody's: a build that is longer than an hour has a slot to
//! itself. `--submitters`, `--machines` and `--seed` change that.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use grange_benches::report::{Goal, beside, figure, line};
use grange_benches::{number, run};
use grange_replay::{
    Bounds, Choice, Copies, Durations, Graph, Predictions, Speeds, Summary, Workload, replay,
};

/// Points of a hundred.
const GOAL: f64 = 2.0;

fn main() -> ExitCode {
    run("fairness", async || measure())
}

fn measure() -> anyhow::Result<()> {
    let submitters = u32::try_from(number("submitters", 4)?)?;
    let machines = u32::try_from(number("machines", 40)?)?;
    let mut durations = Durations::default();
    durations.seed = number("seed", durations.seed)?;
    let graph = Graph::guix();
    Copies::check(&graph, submitters)?;
    let copies = Copies::new(graph, submitters);
    let workload = Workload::each_copy(copies, Duration::ZERO, submitters, &durations)?;
    let predictions = Predictions::before(&workload, &durations, 3, 0.05, 0.5);
    for (slowest, fastest) in [(1.0, 1.0), (0.5, 4.0)] {
        let speeds = Speeds {
            machines,
            slowest,
            fastest,
            systems: ["x86_64-linux", "i686-linux", "armhf-linux"]
                .map(str::to_owned)
                .to_vec(),
        };
        let fleet = speeds.fleet(f64::from(machines))?;
        let longest = workload.jobs().iter().map(|job| job.duration_ms).max();
        line(&format!(
            "  {} builds of {submitters} submitters on {} slots at speeds {slowest} to {fastest}; the longest build takes {:.1} h at speed 1",
            workload.jobs().len(),
            fleet.slots(),
            longest.unwrap_or(0) as f64 / 3.6e6
        ));
        for policy in ["share+priority", "priority"] {
            let rules = Choice::read(policy)?.rules(&workload, &fleet, &predictions);
            let outcome =
                replay(&workload, &fleet, rules, || Duration::ZERO).context("it can be built")?;
            let summary = Summary::new(&workload, &fleet, Bounds::default(), &outcome);
            let fairness = &summary.fairness;
            let what = format!(
                "farthest from an equal share in any of {} hours, {policy}, speeds {slowest} to {fastest}",
                fairness.hours
            );
            let points = fairness.worst.abs() * 100.0;
            match policy {
                "priority" => beside(&what, points, "points"),
                _ => figure(&what, points, "points", Goal::Below(GOAL)),
            }
            let shares = fairness.shares.iter();
            let shares = shares.map(|share| format!("{:.2} %", share * 100.0));
            line(&format!(
                "    in all of them together: {}",
                shares.collect::<Vec<_>>().join(", ")
            ));
        }
    }
    Ok(())
}
