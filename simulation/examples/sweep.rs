//! Runs many seeds; `cargo xtask sim` calls this. A seed that fails is made small and printed with the
//! command that runs it again.

#![expect(clippy::print_stdout, reason = "it is a program")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it runs simulations at once, and says how long they took"
)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use grange_simulation::{Counts, Cuts, Outcome, Scenario, Violation, run, shrink};

/// Runs simulated farms.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Runs this one alone, and prints what happens
    #[arg(long)]
    seed: Option<u64>,
    /// What to leave out of it, such as `a0-3,f2,w`
    #[arg(long, default_value = "", requires = "seed")]
    without: Cuts,
    /// How many seeds run at once
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Begins no seed after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// Puts a bug back, which a sweep must find
    #[cfg(grange_bugs)]
    #[arg(long, value_parser = parse_bug)]
    bug: Option<grange_simulation::Bug>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(grange_bugs)]
    let _ = BUG.set(arguments.bug);
    // A panic is a violation, and printed as one.
    std::panic::set_hook(Box::new(|_| {}));
    match arguments.seed {
        Some(seed) => one(seed, &arguments.without),
        None => many(&arguments),
    }
}

fn one(seed: u64, cuts: &Cuts) -> ExitCode {
    let outcome = run(&scenario(seed).without(cuts), true);
    for line in &outcome.lines {
        println!("{line}");
    }
    println!("{:?}, trace {:016x}", outcome.counts, outcome.trace);
    match outcome.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

fn scenario(seed: u64) -> Scenario {
    let scenario = Scenario::draw(seed);
    #[cfg(grange_bugs)]
    let scenario = with_bug(scenario);
    scenario
}

/// `--bug` says which.
#[cfg(grange_bugs)]
fn with_bug(mut scenario: Scenario) -> Scenario {
    scenario.config.bug = BUG.get().copied().flatten();
    scenario
}

#[cfg(grange_bugs)]
static BUG: std::sync::OnceLock<Option<grange_simulation::Bug>> = std::sync::OnceLock::new();

#[cfg(grange_bugs)]
fn parse_bug(name: &str) -> Result<grange_simulation::Bug, String> {
    let bugs = grange_simulation::Bug::ALL;
    let named = bugs.into_iter().find(|bug| format!("{bug:?}") == name);
    named.ok_or_else(|| format!("it is one of {bugs:?}"))
}

/// What many seeds came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    counts: Counts,
    failed: Option<(u64, Violation)>,
}

fn many(arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(arguments.from);
    let ends = arguments.from.saturating_add(arguments.seeds);
    let limit = arguments.seconds.map(Duration::from_secs);
    let all = Mutex::new(Sum::default());
    let work = || loop {
        let late = limit.is_some_and(|limit| began.elapsed() > limit);
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let failed = || {
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .failed
                .is_some()
        };
        if seed >= ends || late || failed() {
            return;
        }
        let outcome = twice(seed);
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        all.seeds += 1;
        all.counts.add(&outcome.counts);
        if let Some(violation) = outcome.violation {
            all.failed.get_or_insert((seed, violation));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(work);
        }
    });
    let Sum {
        seeds,
        counts,
        failed,
    } = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = began.elapsed().as_secs_f64();
    let speed = counts.events as f64 / seconds / arguments.threads.max(1) as f64;
    println!("{seeds} seeds in {seconds:.1} s: {counts:?}; {speed:.0} events/s on each thread");
    match failed {
        None => {
            println!("no violation");
            ExitCode::SUCCESS
        }
        Some((seed, violation)) => {
            report(seed, &violation);
            ExitCode::FAILURE
        }
    }
}

/// One seed in sixteen is run twice: both runs must be the same.
fn twice(seed: u64) -> Outcome {
    let mut outcome = run(&scenario(seed), false);
    if seed.is_multiple_of(16) && run(&scenario(seed), false).trace != outcome.trace {
        outcome.violation.get_or_insert_with(|| Violation {
            invariant: "one-seed-one-run",
            at: grange_simulation::Moment::default(),
            detail: "a second run of this seed went another way".to_owned(),
        });
    }
    outcome
}

fn report(seed: u64, violation: &Violation) {
    println!("seed {seed}: {violation}");
    println!("    cargo xtask sim --seed {seed}");
    let shrunk = shrink(&scenario(seed), violation.invariant, 400);
    let small = scenario(seed).without(&shrunk.cuts);
    println!(
        "made small by {} tries: {} agents, {} actions, {} faults",
        shrunk.tries,
        small.agents.len(),
        small.actions.len(),
        small.faults.len()
    );
    for (at, action) in &small.actions {
        println!("    {:>9} ms {action:?}", at.0 / 1_000);
    }
    for (at, fault) in &small.faults {
        println!("    {:>9} ms {fault:?}", at.0 / 1_000);
    }
    if let Some(violation) = run(&small, false).violation {
        println!("{violation}");
    }
    println!(
        "    cargo xtask sim --seed {seed} --without {}",
        shrunk.cuts
    );
}
