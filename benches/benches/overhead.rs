//! What processor time Grange itself takes for a build.
//!
//! User and system time of the coordinator's process and of the agent's, over many trivial builds, all submitted at
//! once. The sandbox's helper and what it runs are children of the agent and not counted; nor is what the sandbox builder
//! takes in the agent's own process (starting helpers, making canonical, hashing): that is measured by calling it alone, in this process,
//! and taken off.

use std::process::{Command, ExitCode};
use std::time::Duration;

use grange_benches::farm::Farm;
use grange_benches::process::{Cpu, cpu_of, own_cpu};
use grange_benches::report::{Goal, beside, figure, line, ratio};
use grange_benches::{number, run, trivial};

/// Builds before those that count.
const WARM: usize = 20;

fn main() -> ExitCode {
    run("overhead", measure)
}

async fn measure() -> anyhow::Result<()> {
    let count = usize::try_from(number("builds", 300)?)?;
    let farm = Farm::start().await?;
    let agent = farm.start_agent().await?;
    trivial::build(&farm.client, &trivial::lines("warm", WARM)?).await?;
    let derivations = trivial::lines("counted", count)?;
    let ids = [farm.coordinator_id()?, agent.id()];
    let before = [cpu_of(ids[0])?, cpu_of(ids[1])?];
    trivial::build(&farm.client, &derivations).await?;
    // The agent closes its last attempts.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let coordinator = cpu_of(ids[0])?.since(before[0]);
    let agent = cpu_of(ids[1])?.since(before[1]);

    let bare = trivial::Bare::new(&farm.directory().join("bare")).await?;
    bare.build(&trivial::lines("warm", WARM)?).await?;
    let before = own_cpu()?;
    bare.build(&derivations).await?;
    let sandbox = own_cpu()?.since(before);
    let before = own_cpu()?;
    for _ in 0..count {
        Command::new("/bin/sh").args(["-c", ":"]).status()?;
    }
    let shell = own_cpu()?.since(before);

    let each = |time: Duration| time.as_secs_f64() * 1e3 / count as f64;
    let both = |cpu: Cpu| each(cpu.own + cpu.children);
    line(&format!(
        "  {count} builds; milliseconds of processor time for each"
    ));
    beside("coordinator", each(coordinator.own), "ms");
    beside(
        "agent, with the sandbox builder's part in its process",
        each(agent.own),
        "ms",
    );
    beside(
        "agent's children: the sandbox's helper and the build",
        each(agent.children),
        "ms",
    );
    beside(
        "the sandbox builder called alone: its process",
        each(sandbox.own),
        "ms",
    );
    beside(
        "the sandbox builder called alone: its children",
        each(sandbox.children),
        "ms",
    );
    beside("baseline: sh -c :", both(shell), "ms");
    let own = each(coordinator.own) + each(agent.own) - each(sandbox.own);
    figure(
        "coordinator and agent, sandbox not counted",
        own,
        "ms",
        Goal::Below(3.0),
    );
    ratio("to sh -c :", own, both(shell));
    ratio("to what the sandbox and the build take", own, both(sandbox));
    Ok(())
}
