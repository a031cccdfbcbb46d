//! One farm's queue at growing sizes: Grange's core beside what others do, the same turns with each.
//!
//! A turn is that an agent's build is finished, so that what waited for it alone is ready, and that the agent asks for work
//! and is given a build, which is marked as taken. Turns are sampled in a farm that has been at work for a while: a tenth as
//! many builds as are unfinished have been built. The plainest queue there is says what each agent is to be given; how often
//! a way gave the same is printed.
//!
//! Beside the core are: that plainest queue; a plan recomputed as a whole, in memory (the Guix Build Coordinator's way);
//! PostgreSQL with `FOR UPDATE SKIP LOCKED`, with commits that are durable and with commits that are not, as those of the
//! core are not here; and PostgreSQL with a scan for each request (Cuirass's way). What is not there, and what would take
//! too long, is left out, and said so.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use grange_benches::queues::{
    AGENTS, Builds, Cluster, CoreWay, NOT_INSTALLED, PRIORITIES, Plain, Plan, Queue, SYSTEMS,
    Sampled, State, Tables, Turns,
};
use grange_benches::report::{line, machine};
use grange_benches::stats::Sample;
use grange_benches::{argument, number, run};

const CORE: &str = "Grange's core";
const PLAIN: &str = "the plainest queue";
const PLAN_EACH: &str = "a plan for each decision";
const PLAN_ROUND: &str = "a plan for each 100 decisions";
const DURABLE: &str = "PostgreSQL, SKIP LOCKED, durable";
const NOT_DURABLE: &str = "PostgreSQL, SKIP LOCKED, synchronous_commit=off";
const SCAN: &str = "PostgreSQL, scan for each request, synchronous_commit=off";
/// In the order in which they are printed.
const WAYS: [&str; 7] = [
    CORE,
    PLAIN,
    NOT_DURABLE,
    DURABLE,
    PLAN_ROUND,
    PLAN_EACH,
    SCAN,
];

/// Requests that share a plan: each agent asks once.
const ROUND: usize = AGENTS;

fn main() -> ExitCode {
    run("queues", async || {
        // PostgreSQL's client waits, which must not be done among tasks.
        tokio::task::spawn_blocking(measure).await?
    })
}

/// What one way took at one size.
struct Measured {
    way: &'static str,
    size: u32,
    sampled: Sampled,
}

fn measure() -> anyhow::Result<()> {
    let sizes = argument("sizes").unwrap_or_else(|| "10000,100000,1000000".to_owned());
    let sizes: Result<Vec<u32>, _> = sizes.split(',').map(str::parse).collect();
    let sizes = sizes.context("--sizes: numbers with commas between them")?;
    let decisions = usize::try_from(number("decisions", 1_000)?)?;
    let bound = Duration::from_secs(number("seconds", 40)?);
    line(&format!(
        "  {AGENTS} agents of {} systems, one build each at a time; {PRIORITIES} priorities; {decisions} decisions, or what fits into {} s",
        SYSTEMS.len(),
        bound.as_secs()
    ));
    let cluster = Cluster::start("2GB")?;
    match &cluster {
        Some(cluster) => line(&format!(
            "  PostgreSQL {}: one connection over a Unix socket; a statement, which is a transaction, for each request and each completion; derived priorities are given to it",
            cluster.version()
        )),
        None => line(&format!("  PostgreSQL: skipped: {NOT_INSTALLED}")),
    }
    line(
        "  Grange's core, the plainest queue and the plans keep nothing on disk here: synchronous_commit=off is what compares with them",
    );
    line(
        "  the Guix Build Coordinator recomputes its plan when something was submitted or has ended, how often is not known: both ends are measured",
    );
    let bench = Bench {
        cluster,
        decisions,
        bound,
    };
    let mut all = Vec::new();
    for size in sizes {
        bench.size(size, &mut all)?;
    }
    growth(&all);
    Ok(())
}

struct Bench {
    cluster: Option<Cluster>,
    decisions: usize,
    bound: Duration,
}

impl Bench {
    fn size(&self, size: u32, all: &mut Vec<Measured>) -> anyhow::Result<()> {
        let begun = Instant::now();
        let warm_up = size / 10;
        let builds = Builds::new(size + warm_up);
        let mut plain = Plain::new(&builds);
        let mut turns = Turns::new();
        // The first turn of each agent finishes nothing, nor does one after it got nothing.
        loop {
            let left = (warm_up as usize).saturating_sub(plain.count(State::Finished));
            if left == 0 {
                break;
            }
            turns.take(&mut plain, left, Duration::MAX)?;
        }
        let warm = plain.clone();
        let unfinished = builds.len() - warm.count(State::Finished);
        line(&format!(
            "  {unfinished} unfinished builds, {:.1} inputs each, {:.1} % ready, {} running; {}",
            builds.degree(),
            warm.count(State::Ready) as f64 * 100.0 / unfinished as f64,
            warm.count(State::Running),
            machine(),
        ));
        let expected = turns
            .clone()
            .take(&mut plain, self.decisions, Duration::MAX)?;
        let from = all.len();
        let mut tell = |way, sampled: Sampled| {
            describe(way, &sampled, &expected, self.decisions);
            all.push(Measured { way, size, sampled });
        };
        {
            let mut core = CoreWay::new(&builds)?;
            let mut own = Turns::new();
            own.take(&mut core, turns.taken(), Duration::MAX)?;
            ensure!(own == turns, "{CORE} decided otherwise while it warmed up");
            tell(CORE, own.take(&mut core, self.decisions, self.bound)?);
        }
        tell(PLAIN, expected.clone());
        if let Some(cluster) = &self.cluster {
            let mut client = cluster.connect()?;
            let tables = Tables::load(&mut client, &builds, &warm)?;
            for (way, queue, durable) in [
                (NOT_DURABLE, Queue::SkipLocked, false),
                (DURABLE, Queue::SkipLocked, true),
                (SCAN, Queue::Scan, false),
            ] {
                let mut queue = tables.queue(&mut client, queue, durable)?;
                let mut turns = turns.clone();
                tell(way, turns.take(&mut queue, self.decisions, self.bound)?);
            }
        }
        for (way, every) in [(PLAN_ROUND, ROUND), (PLAN_EACH, 1)] {
            let mut plan = Plan::new(&builds, &warm, every);
            let mut turns = turns.clone();
            tell(way, turns.take(&mut plan, self.decisions, self.bound)?);
            let planned = Sample::of_millis(plan.planned());
            line(&format!(
                "      {} plans, median {:.3} ms, p99 {:.3} ms each; what becomes ready after one waits for the next",
                plan.planned().len(),
                planned.median(),
                planned.percentile(99),
            ));
        }
        ratios(&all[from..]);
        line(&format!(
            "  that took {:.0} s with all around it",
            begun.elapsed().as_secs_f64()
        ));
        Ok(())
    }
}

fn describe(way: &str, sampled: &Sampled, expected: &Sampled, wanted: usize) {
    let micros = |durations: &[Duration]| {
        if durations.is_empty() {
            return "none".to_owned();
        }
        let micros = durations.iter().map(|it| it.as_secs_f64() * 1e6).collect();
        let sample = Sample::new(micros);
        format!(
            "p50 {:.2}, p99 {:.2} us",
            sample.median(),
            sample.percentile(99)
        )
    };
    line(&format!(
        "    {way}: request {}; completion {}; {:.0} decisions/s",
        micros(&sampled.asked),
        micros(&sampled.finished),
        sampled.per_second(),
    ));
    let count = sampled.given.len();
    let (same, none) = (
        sampled.same(expected),
        sampled.given.iter().filter(|given| given.is_none()).count(),
    );
    if same < count || none > 0 {
        line(&format!(
            "      {same} of {count} decisions as expected, one that differs moves those after it; {none} agents got nothing"
        ));
    }
    if count < wanted {
        line(&format!(
            "      {count} decisions sampled instead of {wanted}: more would have taken too long"
        ));
    }
}

/// The median of a decision with its completion, in microseconds.
fn median(measured: &Measured) -> f64 {
    let both = measured.sampled.both.iter();
    Sample::new(both.map(|it| it.as_secs_f64() * 1e6).collect()).median()
}

fn ratios(all: &[Measured]) {
    let Some(core) = all.iter().find(|it| it.way == CORE) else {
        return;
    };
    for other in all.iter().filter(|it| it.way != CORE) {
        line(&format!(
            "    {}, to the core: median {:.2} times, mean {:.2} times the time of a decision with its completion",
            other.way,
            median(other) / median(core),
            core.sampled.per_second() / other.sampled.per_second(),
        ));
    }
}

fn growth(all: &[Measured]) {
    for way in WAYS {
        let mut of_way = all.iter().filter(|it| it.way == way);
        let (Some(first), Some(last)) = (of_way.next(), of_way.next_back()) else {
            continue;
        };
        line(&format!(
            "  growth from {} to {}, {way}: median {:.2} times, mean {:.2} times",
            first.size,
            last.size,
            median(last) / median(first),
            first.sampled.per_second() / last.sampled.per_second(),
        ));
    }
}
