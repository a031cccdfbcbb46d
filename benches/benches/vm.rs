//! Virtual build machines without KVM: boots, clones, their memory, and builds in them.
//!
//! A machine of the tests' image, with one processor and 512 MiB (`--cpus`, `--memory`), under TCG. In each round (`--rounds`) QEMU by itself
//! boots the same kernel to a first process that says a line, then the machine boots until our program in it answers, then a clone comes
//! up: started, met, seeded, its clock set. Then eight clones live at once, each has compiled and run a small program, and what memory they hold is
//! looked at. In the end a farm's agent in a clone builds trivial derivations, and the same builder is run by hand in another clone, in turns.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use grange_benches::farm::{Farm, program};
use grange_benches::process::Process;
use grange_benches::report::{Goal, beside, figure, line};
use grange_benches::stats::Sample;
use grange_benches::vm::{Bare, MACHINE, Rig, held};
use grange_benches::{number, run, trivial};
use grange_guest::client::Guest;
use grange_guest::protocol::Exec;
use grange_model::Tags;
use grange_vm::run::{Running, Template};

/// A machine answers within this time.
const LIMIT: Duration = Duration::from_secs(180);
/// So many clones live at once.
const CLONES: usize = 8;
/// Something small.
const TINY: &str = "ls -l /usr/bin | sort | sha256sum";
/// What the configure scripts of builds do.
const SMALL: &str = "cd /tmp && mkdir small && cd small && printf '#include <stdio.h>\\nint main(void) { puts(\"small\"); return 0; }\\n' > a.c \
                     && cc -O2 -o a a.c && ./a | grep -q small && tar -cf a.tar a a.c && sha256sum a.tar";
const DATE: &str = "2020-01-01";

fn main() -> ExitCode {
    run("vm", measure)
}

async fn measure() -> anyhow::Result<()> {
    if let Some(why) = Rig::lacks() {
        line(&format!("  skipped: {why}"));
        return Ok(());
    }
    let cpu_count = u32::try_from(number("cpus", 1)?)?;
    let rig = Rig::new(number("memory", 512)?, cpu_count).await?;
    let measured = measure_rig(&rig).await;
    rig.remove().await?;
    measured
}

async fn measure_rig(rig: &Rig) -> anyhow::Result<()> {
    let template = boots(rig).await?;
    memory(rig, &template).await?;
    command(rig).await?;
    farm(rig, &template).await
}

/// Bare QEMU, boots and clones, in turns.
async fn boots(rig: &Rig) -> anyhow::Result<Template> {
    let scratch = tempfile::tempdir()?;
    let bare = Bare::new(&rig.plan, scratch.path())?;
    let begun = Instant::now();
    let template = Template::get(&rig.plan, rig.machine.templates(), LIMIT).await?;
    beside("making the template", begun.elapsed().as_secs_f64(), "s");
    let (mut empty, mut cold, mut clones) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..number("rounds", 15)? {
        empty.push(bare.boot(LIMIT)?.as_secs_f64());
        let begun = Instant::now();
        let running = Running::boot(&rig.plan, &rig.directory("run"), LIMIT).await?;
        cold.push(begun.elapsed().as_secs_f64());
        running.power_cut().await?;
        let begun = Instant::now();
        let clone = template.clone_into(&rig.directory("clone"), LIMIT).await?;
        clones.push(begun.elapsed().as_secs_f64());
        clone.power_cut().await?;
    }
    let pairs = cold.iter().zip(&empty).map(|(cold, empty)| cold / empty);
    let pairs = Sample::new(pairs.collect());
    let [empty, cold, clones] = [empty, cold, clones].map(Sample::new);
    line(&format!(
        "  baseline, bare QEMU, empty init, s: {}",
        empty.spread()
    ));
    line(&format!("  cold boot to our program, s: {}", cold.spread()));
    line(&format!("  cold boot to bare, pairs: {}", pairs.spread()));
    line(&format!("  clone until ready, s: {}", clones.spread()));
    let boot = cold.median() / empty.median();
    let goal = Goal::Below(1.2);
    figure("cold boot to bare QEMU, medians", boot, "times", goal);
    let goal = Goal::Below(0.5);
    figure("clone until ready, median", clones.median(), "s", goal);
    let faster = cold.median() / clones.median();
    let goal = Goal::Above(5.0);
    figure("clone, faster than a cold boot", faster, "times", goal);
    Ok(template)
}

/// What clones hold that their template does not.
async fn memory(rig: &Rig, template: &Template) -> anyhow::Result<()> {
    let booted = Running::boot(&rig.plan, &rig.directory("run"), LIMIT).await?;
    shell(guest(&booted)?, SMALL, "small").await?;
    let whole = held(id(&booted)?)?;
    booted.power_cut().await?;
    let mut clones = Vec::new();
    for number in 0..CLONES {
        let directory = rig.directory(&format!("clone-{number}"));
        clones.push(template.clone_into(&directory, LIMIT).await?);
    }
    let idle = held(id(&clones[0])?)?;
    beside(
        "baseline, booted and has compiled: written pages",
        whole.private_dirty,
        "MiB",
    );
    beside("a clone that has just come up", idle.private_dirty, "MiB");
    for (script, what) in [(TINY, "has sorted a list"), (SMALL, "has compiled")] {
        for clone in &clones {
            shell(guest(clone)?, script, "small").await?;
        }
        look(&clones, what)?;
    }
    for clone in clones {
        clone.power_cut().await?;
    }
    Ok(())
}

/// What they hold now.
fn look(clones: &[Running], what: &str) -> anyhow::Result<()> {
    let (mut own, mut all) = (Vec::new(), 0.0);
    for clone in clones {
        let held = held(id(clone)?)?;
        own.push(held.private_dirty);
        all += held.proportional;
    }
    let own = Sample::new(own);
    let spread = own.spread();
    line(&format!("  written pages, each {what}, MiB: {spread}"));
    beside("all of them with the template, Pss", all, "MiB");
    figure(
        &format!("the largest of {CLONES} clones, each {what}"),
        own.percentile(100),
        "MiB",
        Goal::Below(120.0),
    );
    Ok(())
}

fn id(running: &Running) -> anyhow::Result<u32> {
    anyhow::Context::context(running.id(), "the emulator runs")
}

fn guest(running: &Running) -> anyhow::Result<&Guest> {
    anyhow::Context::context(running.guest(), "our program runs in it")
}

/// Runs a script, with the environment that a trivial derivation has.
async fn shell(guest: &Guest, script: &str, name: &str) -> anyhow::Result<()> {
    let exec = Exec::new("/bin/sh").args(["-c", script]);
    let exec = exec.env("name", name).env("out", format!("/tmp/{name}"));
    let exec = exec.env("PATH", "/bin:/usr/bin");
    let ran = guest.run(exec).await?.output(64 << 10).await?;
    let said = String::from_utf8_lossy(&ran.stderr);
    anyhow::ensure!(ran.exit.is_success(), "{script}: {}: {said}", ran.exit);
    Ok(())
}

/// The command line: a process of its own for each clone.
async fn command(rig: &Rig) -> anyhow::Result<()> {
    let mut took = Vec::new();
    // The first says what executes the machine, for those after it.
    for _ in 0..=number("commands", 10)? {
        let mut command = Command::new(program("grange")?);
        command.args(["vm", "--vm-dir"]).arg(&rig.home);
        command.args(["run", "--accelerator", "tcg", MACHINE, "--", "true"]);
        let begun = Instant::now();
        let ran = tokio::process::Command::from(command).output().await?;
        took.push(begun.elapsed().as_secs_f64());
        let said = String::from_utf8_lossy(&ran.stderr);
        anyhow::ensure!(ran.status.success(), "grange vm run: {said}");
    }
    took.remove(0);
    let took = Sample::new(took).spread();
    line(&format!("  grange vm run {MACHINE} -- true, s: {took}"));
    Ok(())
}

/// Builds of a farm in a warm clone, and the same builder by hand in another.
async fn farm(rig: &Rig, template: &Template) -> anyhow::Result<()> {
    let farm = Farm::start().await?;
    // First: the agent's machine has a disk of tools, and so another template, for which this one goes.
    let by_hand = template.clone_into(&rig.directory("hand"), LIMIT).await?;
    let agent = start_agent(rig, &farm).await?;
    let requires = Tags::from([("date".to_owned(), DATE.to_owned())]);
    for one in trivial::lines("warm", 2)? {
        trivial::build_on(&farm.client, &[one], &requires).await?;
        shell(guest(&by_hand)?, "echo $name > $out", "warm").await?;
    }
    let (mut farmed, mut bare) = (Vec::new(), Vec::new());
    let count = usize::try_from(number("builds", 15)?)?;
    for (number, one) in trivial::lines("counted", count)?.into_iter().enumerate() {
        let begun = Instant::now();
        trivial::build_on(&farm.client, &[one], &requires).await?;
        farmed.push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let name = format!("counted-{number}");
        shell(guest(&by_hand)?, "echo $name > $out", &name).await?;
        bare.push(begun.elapsed().as_secs_f64());
    }
    agent.stop()?;
    by_hand.power_cut().await?;
    let [farmed, bare] = [farmed, bare].map(Sample::new);
    line(&format!(
        "  baseline, the builder by hand, s: {}",
        bare.spread()
    ));
    line(&format!(
        "  a build of the farm, from submitting to verified, s: {}",
        farmed.spread()
    ));
    let added = farmed.median() - bare.median();
    let goal = Goal::Below(2.0);
    figure("what the farm adds, medians", added, "s", goal);
    Ok(())
}

/// `grange vm agent`, with the agent's program stripped, as it is installed: it goes into the guest's memory.
async fn start_agent(rig: &Rig, farm: &Farm) -> anyhow::Result<Process> {
    let (id, password) = farm.new_agent().await?;
    let at = farm.directory();
    let (stripped, file) = (at.join("grange-agent"), at.join("password"));
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&stripped).arg(program("grange-agent")?);
    anyhow::ensure!(strip.status()?.success(), "strip fails");
    std::fs::write(&file, password.0)?;
    let mut command = farm.grange(None)?;
    command.args(["vm", "--vm-dir"]).arg(&rig.home);
    command.args(["agent", MACHINE, "--accelerator", "tcg"]);
    command.args(["--uuid", &id.to_string(), "--password-file"]);
    command.arg(file).arg("--agent-program").arg(&stripped);
    command.arg("--");
    for path in trivial::host_paths() {
        command.arg("--sandbox-path").arg(path);
    }
    Process::start(&mut command, &at.join("agent.log"))
}
