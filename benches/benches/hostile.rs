//! What strangers may ask of the coordinator's core, and how long that keeps others waiting.
//!
//! A derivation with very many inputs; very many builds of one derivation, with as many priorities; each submitted, raised or
//! finished, and canceled. What is timed is the core's own processor time: of its calls, none should take long. `--inputs` and
//! `--builds` say how many.

use std::fmt::Write as _;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use grange_benches::report::{Goal, figure, line};
use grange_benches::{number, run};
use grange_coordinator_core::{Config, Input};
use grange_model::{BuildId, BuildSpec};
use grange_replay::{Copies, Graph, Rush};
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

/// Builds in one request.
const SUBMITTED: u32 = 1_000;

fn main() -> ExitCode {
    run("hostile", async || measure())
}

fn measure() -> anyhow::Result<()> {
    let inputs = u32::try_from(number("inputs", 100_000)?)?;
    let builds = u32::try_from(number("builds", 100_000)?)?;
    many_inputs(inputs)?;
    duplicates("of one priority", builds, |_| 0)?;
    duplicates("of as many priorities", builds, |build| {
        i32::try_from(build).unwrap_or(i32::MAX)
    })
}

/// One derivation needs so many others.
fn many_inputs(inputs: u32) -> anyhow::Result<()> {
    let mut rush = rush(inputs)?;
    let top = inputs;
    step(
        &mut rush,
        "a derivation with that many inputs is stored",
        inputs,
        |rush| {
            rush.store();
            Ok(())
        },
    )?;
    step(&mut rush, "and submitted", inputs, |rush| {
        submit(rush, top, 0..1, |_| 0)
    })?;
    step(&mut rush, "and gets another priority", inputs, |rush| {
        submit(rush, top, 1..2, |_| 7)
    })?;
    step(&mut rush, "and is canceled", inputs, |rush| {
        cancel(rush, 0..2);
        Ok(())
    })?;
    ensure!(rush.is_done(), "something is left");
    Ok(())
}

/// One derivation is asked for so many times.
fn duplicates(what: &str, builds: u32, priority: fn(u32) -> i32) -> anyhow::Result<()> {
    let mut rush = rush(0)?;
    rush.store();
    let said = format!("builds of one derivation {what} are submitted");
    step(&mut rush, &said, builds, |rush| {
        submit(rush, 0, 0..builds, priority)
    })?;
    step(&mut rush, "one half is canceled", builds / 2, |rush| {
        cancel(rush, 0..builds / 2);
        Ok(())
    })?;
    step(&mut rush, "an agent gets the other", builds / 2, |rush| {
        Ok(rush.round()?)
    })?;
    step(&mut rush, "and has built it", builds / 2, |rush| {
        Ok(rush.drain()?)
    })
}

/// An agent, and a derivation that needs so many others.
fn rush(inputs: u32) -> anyhow::Result<Rush> {
    let mut text = "grange-graph 1\n".to_owned();
    for input in 0..inputs {
        writeln!(text, "input-{input}\tx86_64-linux\t-\tout\t-")?;
    }
    let needs: Vec<String> = (0..inputs).map(|input| input.to_string()).collect();
    let needs = if needs.is_empty() {
        "-".to_owned()
    } else {
        needs.join(" ")
    };
    writeln!(text, "top\tx86_64-linux\t-\tout\t{needs}")?;
    let copies = Copies::new(Graph::read(&text)?, 1);
    Ok(Rush::new(copies, Config::default(), clock, 1, 1))
}

fn build(number: u32) -> BuildId {
    BuildId(Uuid::from_u128(u128::from(number) + 1))
}

/// Builds of those numbers of one derivation.
fn submit(
    rush: &mut Rush,
    node: u32,
    numbers: Range<u32>,
    priority: fn(u32) -> i32,
) -> anyhow::Result<()> {
    for first in numbers.clone().step_by(SUBMITTED as usize) {
        let some = first..numbers.end.min(first + SUBMITTED);
        let count = some.len() as u64;
        let builds = some.map(|number| BuildSpec {
            priority: priority(number),
            ..Rush::spec(build(number), Copies::digest(0, node))
        });
        let builds = builds.collect();
        let before = unfinished(rush);
        let ticket = rush.shell_mut().ticket();
        rush.shell_mut().hand_in(Input::Submit { ticket, builds });
        rush.shell_mut().settle();
        ensure!(unfinished(rush) >= before + count, "some are refused");
    }
    Ok(())
}

fn cancel(rush: &mut Rush, numbers: Range<u32>) {
    for first in numbers.clone().step_by(SUBMITTED as usize) {
        let some = first..numbers.end.min(first + SUBMITTED);
        let builds = some.map(build).collect();
        let ticket = rush.shell_mut().ticket();
        rush.shell_mut().hand_in(Input::Cancel { ticket, builds });
        rush.shell_mut().settle();
    }
}

fn unfinished(rush: &Rush) -> u64 {
    let counts = rush.shell().core().counts();
    counts.blocked + counts.ready + counts.running
}

fn step(
    rush: &mut Rush,
    what: &str,
    count: u32,
    act: impl FnOnce(&mut Rush) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    rush.shell_mut().spent();
    act(rush)?;
    let spent = rush.shell_mut().spent();
    line(&format!(
        "  {count}: {what}: {:.1} ms in {} calls",
        spent.sum.as_secs_f64() * 1e3,
        spent.calls
    ));
    let longest = spent.longest.as_secs_f64() * 1e3;
    figure("the longest call", longest, "ms", Goal::Below(5.0));
    Ok(())
}

/// The processor time of this thread.
fn clock() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
