//! What strangers may ask of the coordinator's core, and how long that keeps others waiting.
//!
//! A derivation with very many inputs; one that very many need, each with another priority; very many builds of one derivation,
//! also with as many priorities; each submitted, raised or finished, and canceled. What is timed is the core's own processor
//! time: of its calls, none should take long. `--inputs`, `--users` and `--builds` say how many.

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
    let users = u32::try_from(number("users", 100_000)?)?;
    let builds = u32::try_from(number("builds", 1_000_000)?)?;
    many_inputs(inputs)?;
    many_users(users)?;
    duplicates("of one priority", builds, |_| 0)?;
    duplicates("of as many priorities", builds, own)
}

/// A priority that no other has.
fn own(build: u32) -> i32 {
    i32::try_from(build).unwrap_or(i32::MAX)
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
        ensure!(submit(rush, top, 0..1, |_| 0) > 0, "it is refused");
        Ok(())
    })?;
    step(&mut rush, "and gets another priority", inputs, |rush| {
        ensure!(submit(rush, top, 1..2, |_| 7) == 1, "it is refused");
        Ok(())
    })?;
    step(&mut rush, "and is canceled", inputs, |rush| {
        cancel(rush, 0..2);
        Ok(())
    })?;
    ensure!(rush.is_done(), "something is left");
    Ok(())
}

/// So many derivations need one other, each with a priority of its own.
fn many_users(users: u32) -> anyhow::Result<()> {
    let mut text = "grange-graph 1\nlibc\tx86_64-linux\t-\tout\t-\n".to_owned();
    for user in 0..users {
        writeln!(text, "user-{user}\tx86_64-linux\t-\tout\t0")?;
    }
    let copies = Copies::new(Graph::read(&text)?, 1);
    let mut rush = Rush::new(copies, Config::default(), clock, 1, 1);
    rush.store();
    let what = "derivations that need one other, each with another priority, are submitted";
    step(&mut rush, what, users, |rush| {
        for user in 0..users {
            ensure!(
                submit(rush, user + 1, user..user + 1, own) > 0,
                "it is refused"
            );
        }
        Ok(())
    })?;
    step(
        &mut rush,
        "and canceled, the highest first",
        users,
        |rush| {
            for user in (0..users).rev() {
                cancel(rush, user..user + 1);
            }
            Ok(())
        },
    )?;
    ensure!(rush.is_done(), "something is left");
    Ok(())
}

/// One derivation is asked for so many times, and as many builds are made of it as may be.
fn duplicates(what: &str, builds: u32, priority: fn(u32) -> i32) -> anyhow::Result<()> {
    let mut rush = rush(0)?;
    rush.store();
    let said = format!("builds of one derivation {what} are asked for");
    let mut made = 0;
    step(&mut rush, &said, builds, |rush| {
        made = submit(rush, 0, 0..builds, priority);
        Ok(())
    })?;
    line(&format!(
        "of these there are now {made}; the others were refused"
    ));
    let made = u32::try_from(made)?;
    step(
        &mut rush,
        "one half of them is canceled",
        made / 2,
        |rush| {
            cancel(rush, 0..made / 2);
            Ok(())
        },
    )?;
    step(
        &mut rush,
        "an agent gets the other",
        made - made / 2,
        |rush| Ok(rush.round()?),
    )?;
    step(&mut rush, "and has built it", made - made / 2, |rush| {
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

/// Asks for builds of those numbers of one derivation; returns how many are made.
fn submit(rush: &mut Rush, node: u32, numbers: Range<u32>, priority: fn(u32) -> i32) -> u64 {
    let before = unfinished(rush);
    for first in numbers.clone().step_by(SUBMITTED as usize) {
        let some = first..numbers.end.min(first + SUBMITTED);
        let builds = some.map(|number| BuildSpec {
            priority: priority(number),
            ..Rush::spec(build(number), Copies::digest(0, node))
        });
        let builds = builds.collect();
        let ticket = rush.shell_mut().ticket();
        rush.shell_mut().hand_in(Input::Submit { ticket, builds });
        rush.shell_mut().settle();
    }
    unfinished(rush) - before
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
