//! How machines are shared between submitters of equal rights who all have more to build than fits.
//!
//! Four of them ask at once, each for packages of their own. Once they are alike: each wants all of Guix, and the builds take as long
//! for each. Once they differ in whatever they may: the builds of each take other times, those of one four times as long and
//! those of another a quarter; half of them want every second package only; each has another priority; and there is a machine
//! more, for forty can be given to four by tens, which nobody ever leaves. Forty machines build in virtual time on the real core,
//! with a share for each submitter and without. In every hour in which each had something ready
//! that waited, each should have a quarter of the work done. The last builds of an hour may be anybody's: a build that is longer
//! than an hour has a slot to itself. `--submitters`, `--machines` and `--seed` change that.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use grange_benches::report::{Goal, beside, figure, line};
use grange_benches::{number, run};
use grange_replay::{
    Bounds, Choice, Copies, Durations, Graph, Predictions, Speeds, Submission, Summary, Workload,
    replay,
};

/// Points of a hundred.
const GOAL: f64 = 2.0;

fn main() -> ExitCode {
    run("fairness", async || measure())
}

/// Submitters who differ: how many times as long the builds of each take, the priority of them, and of how many packages they
/// want one.
const DIFFERENT: [(f64, i32, usize); 4] = [(1.0, 0, 1), (4.0, 10, 2), (0.25, -10, 1), (1.0, 5, 2)];

fn measure() -> anyhow::Result<()> {
    let submitters = u32::try_from(number("submitters", 4)?)?;
    let machines = u32::try_from(number("machines", 40)?)?;
    let mut durations = Durations::default();
    durations.seed = number("seed", durations.seed)?;
    let graph = Graph::guix();
    Copies::check(&graph, submitters)?;
    let copies = Copies::new(graph, submitters);
    let alike = Workload::each_copy(copies.clone(), Duration::ZERO, submitters, &durations)?;
    share("alike", &alike, machines, &durations)?;
    let different = different(copies, &durations)?;
    share("different", &different, machines + 1, &durations)
}

/// Each copy is for a submitter, and no two of them want the same.
fn different(copies: Copies, durations: &Durations) -> anyhow::Result<Workload> {
    let tops = copies.graph().tops();
    let kind = |copy: u32| DIFFERENT[copy as usize % DIFFERENT.len()];
    let submissions = (0..copies.copies()).map(|copy| {
        let (_, priority, one_of) = kind(copy);
        Submission {
            at: Duration::ZERO,
            submitter: format!("submitter-{}", copy + 1),
            priority,
            copy,
            derivations: tops.iter().copied().step_by(one_of).collect(),
        }
    });
    let of_copy = |copy: u32| Durations {
        seed: durations.seed + u64::from(copy),
        ..durations.clone()
    };
    let models: Vec<Durations> = (0..copies.copies()).map(of_copy).collect();
    let submissions = submissions.collect();
    let workload = Workload::lasting(copies, submissions, |node, copy| {
        let times = kind(copy).0;
        (models[copy as usize].of(node, copy) as f64 * times) as u64
    });
    Ok(workload?)
}

fn share(
    who: &str,
    workload: &Workload,
    machines: u32,
    durations: &Durations,
) -> anyhow::Result<()> {
    let predictions = Predictions::before(workload, durations, 3, 0.05, 0.5);
    let submitters = workload.submitters().len();
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
            "  {} builds of {submitters} submitters, {who}, on {} slots at speeds {slowest} to {fastest}; the longest build takes {:.1} h at speed 1",
            workload.jobs().len(),
            fleet.slots(),
            longest.unwrap_or(0) as f64 / 3.6e6
        ));
        for policy in ["share+priority", "priority"] {
            let rules = Choice::read(policy)?.rules(workload, &fleet, &predictions);
            let outcome =
                replay(workload, &fleet, rules, || Duration::ZERO).context("it can be built")?;
            let summary = Summary::new(workload, &fleet, Bounds::default(), &outcome);
            let fairness = &summary.fairness;
            let what = format!(
                "farthest from an equal share in any of {} hours, {who}, {policy}, speeds {slowest} to {fastest}",
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
