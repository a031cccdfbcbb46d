//! The coordinator's core alone, in one thread, with as much to do as there may be.
//!
//! All of Guix, several times, or a graph in layers, is stored, submitted, and built to the last by agents of whom each
//! takes a hundred at a time. Commits are durable at once; what is timed is the core's own processor time, its calls and its effects.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use grange_benches::process::resident_mib;
use grange_benches::report::{Goal, beside, figure, line};
use grange_benches::{number, run};
use grange_coordinator_core::{ByCriticalPath, ByPriority, Config, Eta, Input, Policy, Reply, Why};
use grange_model::{BuildId, BuildSpec, BuildState};
use grange_replay::{Copies, Graph, Layers, Rush, Spent};
use uuid::Uuid;

/// Builds that say why they stand where they stand.
const EXPLAINED: usize = 1_000;
/// Agents.
const AGENTS: u32 = 100;
/// What an agent takes at once.
const PARALLEL: u32 = 100;
/// What is canceled: 39,120 derivations need it directly.
const CANCELED: &str = "guile-3.0.9";
/// What gets another priority: it has 4,551 inputs.
const RAISED: &str = "texlive-scheme-full-2025.2";

fn main() -> ExitCode {
    run("core", async || measure())
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
    let copies = u32::try_from(number("copies", 14)?)?;
    let layers = u32::try_from(number("layers", 0)?)?;
    let graph = if layers > 0 {
        Layers::ten(layers).draw()
    } else {
        Graph::guix()
    };
    // Valgrind counts instructions, and knows of no thread's time.
    let timer = if number("untimed", 0)? > 0 {
        || Duration::ZERO
    } else {
        clock
    };
    let copies = Copies::new(graph, copies);
    let mut config = Config::default();
    if number("critical-path", 0)? > 0 {
        config.policy = Policy {
            order: vec![Arc::new(ByPriority), Arc::new(ByCriticalPath)],
            ..Policy::default()
        };
    }
    let mut rush = Rush::new(copies, config, timer, AGENTS, PARALLEL);
    ingest(&mut rush)?;
    // Agents take what they can.
    rush.round()?;
    explain(&rush, timer)?;
    if layers == 0 {
        change(&mut rush)?;
    }
    drain(&mut rush)
}

/// All derivations become known, and are asked for.
fn ingest(rush: &mut Rush) -> anyhow::Result<()> {
    let count = rush.shell().copies().len();
    let before = resident_mib(std::process::id()).context("this process runs")?;
    rush.shell_mut().spent();
    rush.store();
    rush.submit()?;
    let spent = rush.shell_mut().spent();
    let after = resident_mib(std::process::id()).context("this process runs")?;
    line(&format!("  {count} derivations stored and submitted"));
    tell(&spent, count);
    beside(
        "memory that the core took for them, MiB",
        after - before,
        "MiB",
    );
    beside(
        "memory for each, bytes",
        (after - before) * 1048576.0 / count as f64,
        "B",
    );
    let unfinished = rush.shell().core().counts();
    line(&format!("  {unfinished:?}"));
    Ok(())
}

/// Some builds of all say why they stand where they stand, and when they will have ended, one by one and a hundred at once.
fn explain(rush: &Rush, timer: fn() -> Duration) -> anyhow::Result<()> {
    let all: Vec<_> = rush.shell().copies().all().collect();
    let core = rush.shell().core();
    let asked = all.iter().step_by((all.len() / EXPLAINED).max(1));
    let asked: Vec<_> = asked
        .map(|(copy, node)| Copies::build(*copy, *node))
        .collect();
    let mut whys = Times::default();
    for build in &asked {
        let begun = timer();
        let why = core.why(*build);
        whys.0.push(timer() - begun);
        ensure!(why != Why::NotUnfinished, "nothing has ended yet");
    }
    whys.tell("why");
    for (what, together) in [("eta", 1), ("eta of 100", 100)] {
        let mut times = Times::default();
        for builds in asked.chunks(together) {
            let begun = timer();
            let etas = core.etas(builds);
            times.0.push(timer() - begun);
            let all = etas.iter().all(|eta| matches!(eta, Eta::In { .. }));
            ensure!(all, "all can be built: {etas:?}");
        }
        times.tell(what);
    }
    Ok(())
}

/// What answers took.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn tell(mut self, what: &str) {
        self.0.sort_unstable();
        let last = self.0.len() - 1;
        let at = |hundredths: usize| self.0[last * hundredths / 100].as_secs_f64() * 1e3;
        line(&format!(
            "  {what}, {} times: p50 {:.3} ms, p99 {:.3} ms, the longest {:.3} ms",
            self.0.len(),
            at(50),
            at(99),
            at(100),
        ));
    }
}

/// Of the last copy, something that needs much gets another priority, then something is canceled that much else needs.
fn change(rush: &mut Rush) -> anyhow::Result<()> {
    let copies = rush.shell().copies().clone();
    let nodes = copies.graph().nodes();
    let copy = copies.copies() - 1;
    let mut users = vec![Vec::new(); nodes.len()];
    for (node, row) in (0..).zip(nodes) {
        for input in &row.inputs {
            users[input.node as usize].push(node);
        }
    }
    let named = |name: &str| {
        let found = (0..).zip(nodes).filter(|(_, row)| row.name == name);
        let most = found.max_by_key(|(node, _)| users[*node as usize].len());
        most.map(|(node, _)| node)
            .with_context(|| format!("there is no {name} in the graph"))
    };

    let raised = named(RAISED)?;
    let below = all_over(raised, nodes.len(), |node| {
        let inputs = nodes[node as usize].inputs.iter();
        inputs.map(|input| input.node).collect()
    });
    let ticket = rush.shell_mut().ticket();
    let builds = vec![BuildSpec {
        priority: 7,
        ..Rush::spec(BuildId(Uuid::from_u128(1)), Copies::digest(copy, raised))
    }];
    rush.shell_mut().spent();
    rush.shell_mut().hand_in(Input::Submit { ticket, builds });
    rush.shell_mut().settle();
    let raise = rush.shell_mut().spent();
    let is_raised = |node: &u32| {
        let build = rush.shell().core().build(Copies::build(copy, *node));
        build.is_some_and(|build| build.derived_priority == 7)
    };
    ensure!(below.iter().all(is_raised), "somebody did not hear of it");
    line(&format!(
        "  {RAISED} gets another priority, and with it {} that it needs, {} directly",
        below.len(),
        nodes[raised as usize].inputs.len(),
    ));
    tell(&raise, below.len());

    let canceled = named(CANCELED)?;
    let above = all_over(canceled, nodes.len(), |node| users[node as usize].clone());
    let before = rush.shell().core().counts();
    let builds = vec![Copies::build(copy, canceled)];
    let ticket = rush.shell_mut().ticket();
    rush.shell_mut().spent();
    rush.shell_mut().hand_in(Input::Cancel { ticket, builds });
    let replies = rush.shell_mut().settle();
    let cancel = rush.shell_mut().spent();
    ensure!(
        matches!(&replies[..], [(_, Reply::Canceled(states))] if *states == [Some(BuildState::Canceled)]),
        "it is not canceled"
    );
    let left = rush.shell().core().counts();
    let ended = before.blocked + before.ready - left.blocked - left.ready;
    // The other build of what was raised ends too, if that needs what was canceled.
    ensure!(ended > above.len() as u64, "{ended} builds ended");
    line(&format!(
        "  {CANCELED} is canceled, and {} end that need it, {} of them directly; {ended} builds in all",
        above.len(),
        users[canceled as usize].len(),
    ));
    tell(&cancel, above.len());
    figure(
        "both together",
        (raise.sum + cancel.sum).as_secs_f64() * 1e3,
        "ms",
        Goal::Below(20.0),
    );
    figure(
        "the longest call of both",
        raise.longest.max(cancel.longest).as_secs_f64() * 1e3,
        "ms",
        Goal::Below(5.0),
    );
    Ok(())
}

/// All that can be reached from a node, without itself.
fn all_over(from: u32, count: usize, next: impl Fn(u32) -> Vec<u32>) -> Vec<u32> {
    let mut seen = vec![false; count];
    let (mut open, mut all) = (vec![from], Vec::new());
    while let Some(node) = open.pop() {
        for other in next(node) {
            if !std::mem::replace(&mut seen[other as usize], true) {
                all.push(other);
                open.push(other);
            }
        }
    }
    all
}

/// Agents build all there is.
fn drain(rush: &mut Rush) -> anyhow::Result<()> {
    let counts = rush.shell().core().counts();
    let count = usize::try_from(counts.blocked + counts.ready + counts.running)?;
    let begun = Instant::now();
    rush.shell_mut().spent();
    rush.drain()?;
    let spent = rush.shell_mut().spent();
    line(&format!(
        "  {count} builds drained, in {:.1} s with all around it",
        begun.elapsed().as_secs_f64()
    ));
    tell(&spent, count);
    figure(
        "drained",
        count as f64 / spent.sum.as_secs_f64(),
        "builds/s",
        Goal::Above(400_000.0),
    );
    figure(
        "the longest call",
        spent.longest.as_secs_f64() * 1e3,
        "ms",
        Goal::Below(5.0),
    );
    Ok(())
}

fn tell(spent: &Spent, count: usize) {
    let count = count as f64;
    line(&format!(
        "  {:.3} s in the core, {:.3} us for each; {} calls, the longest {:.3} ms; {} commits of {:.1} changes and facts for each",
        spent.sum.as_secs_f64(),
        spent.sum.as_secs_f64() * 1e6 / count,
        spent.calls,
        spent.longest.as_secs_f64() * 1e3,
        spent.commits,
        spent.changes as f64 / count,
    ));
}
