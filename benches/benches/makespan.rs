//! How long a farm takes under a policy, against what no policy can fall below.
//!
//! Eight evaluations of all of Guix overlap: each changes a fifth of the packages, and whatever needs them, and one comes every two hours.
//! Forty machines at speeds 0.5 to 4 build them in virtual time on the real core; durations are drawn, with a heavy
//! tail. The fleet has so many slots that the work by the slots is half the critical path, as long, and twice as long.
//! `--evaluations`, `--seed` and `--policy` change that. Without floors (see `grange_replay::Floors`) long builds go to slow machines,
//! so what the plain policies come to stands beside.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use grange_benches::report::{Goal, beside, figure, line};
use grange_benches::{argument, number, run};
use grange_replay::{
    Bounds, Choice, Copies, Durations, Fleet, Graph, Outcome, Predictions, Speeds, Summary,
    Workload, replay,
};

/// Work by slots to critical path, and what is to be reached there with known durations and with predicted ones.
const FLEETS: [(f64, f64, f64); 3] = [(0.5, 1.05, 1.10), (1.0, 1.15, 1.20), (2.0, 1.05, 1.10)];

fn main() -> ExitCode {
    run("makespan", async || measure())
}

/// The processor time of this thread.
fn clock() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

fn measure() -> anyhow::Result<()> {
    let known = argument("policy").unwrap_or_else(|| "critical-path+fastest+floors".to_owned());
    // What is no policy is said before anything is run.
    let priority = Choice::read("priority")?;
    let fastest = Choice::read("critical-path+fastest")?;
    let known = Choice::read(&known)?;
    let predicted = Choice::read("predicted-path+fastest+predicted-floors")?;
    let evaluations = u32::try_from(number("evaluations", 8)?)?;
    let mut durations = Durations::default();
    durations.seed = number("seed", durations.seed)?;
    let graph = Graph::guix();
    Copies::check(&graph, evaluations)?;
    let copies = Copies::evaluations(graph, evaluations, 0.2, durations.seed);
    let workload = Workload::each_copy(copies, Duration::from_hours(2), 1, &durations)?;
    line(&format!(
        "  {} derivations of {evaluations} evaluations, {:.0} h of work at speed 1; seed {}",
        workload.jobs().len(),
        workload.work_ms() as f64 / 3.6e6,
        durations.seed
    ));
    let predictions = Predictions::before(&workload, &durations, 3, 0.05, 0.5);
    for (scale, goal, predicted_goal) in FLEETS {
        let speeds = Speeds {
            machines: 40,
            slowest: 0.5,
            fastest: 4.0,
            systems: ["x86_64-linux", "i686-linux", "armhf-linux"]
                .map(str::to_owned)
                .to_vec(),
        };
        let fleet = speeds.scaled(&workload, scale)?;
        let bounds = Bounds::new(&workload, &fleet);
        line(&format!(
            "  fleet of {} slots, of speeds that add up to {:.0}; critical path {:.2} h, work by slots {:.2} h",
            fleet.slots(),
            fleet.capacity(),
            bounds.path_ms / 3.6e6,
            bounds.work_ms / 3.6e6
        ));
        for (choice, goal) in [
            (&priority, None),
            (&fastest, None),
            (&known, Some(goal)),
            (&predicted, Some(predicted_goal)),
        ] {
            let rules = choice.rules(&workload, &fleet, &predictions);
            let begun = Instant::now();
            let outcome = replay(&workload, &fleet, rules, clock).context("it can be built")?;
            let took = begun.elapsed();
            let summary = Summary::new(&workload, &fleet, bounds, &outcome);
            tell(choice.name(), scale, &summary, goal);
            say(&fleet, &outcome, &summary, took);
        }
    }
    Ok(())
}

fn tell(policy: &str, scale: f64, summary: &Summary, goal: Option<f64>) {
    let what = format!("makespan by its lower bound, {policy}, at {scale} times the critical path");
    match goal {
        Some(goal) => figure(&what, summary.ratio(), "times", Goal::Below(goal)),
        None => beside(&what, summary.ratio(), "times"),
    }
}

fn say(fleet: &Fleet, outcome: &Outcome, summary: &Summary, took: Duration) {
    let builds = outcome.built.len() as f64;
    line(&format!(
        "    {:.2} h; {:.1} % of the slots' time, {:.1} % of the fleet's work; wait p50 {:.0} s, p99 {:.0} s; {:.2} us of the core for each \
         of {builds} builds on {} slots; {:.0} builds/s of real time",
        summary.makespan_ms as f64 / 3.6e6,
        summary.busy * 100.0,
        summary.used * 100.0,
        summary.waits.p50_ms as f64 / 1e3,
        summary.waits.p99_ms as f64 / 1e3,
        summary.core_us(),
        fleet.slots(),
        builds / took.as_secs_f64()
    ));
}
