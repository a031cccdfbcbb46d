//! Memory while a large output goes through.
//!
//! A build makes one file of 4 GiB; it goes from the agent's store to its spool, to the coordinator, and to a client.
//! Two kinds: zeros, which compress to nothing and try the rest, and random bytes, which try the transport. Each of the
//! three programs runs as a process of its own.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use grange_benches::farm::Farm;
use grange_benches::process::{Process, peak_mib};
use grange_benches::report::{Goal, beside, figure, line, ratio};
use grange_benches::{argument, number, run, trivial};

fn main() -> ExitCode {
    run("large_output", measure)
}

async fn measure() -> anyhow::Result<()> {
    let bytes = number("bytes", 4 << 30)?;
    let only = argument("kind");
    for (kind, device) in [("zeros", "/dev/zero"), ("random", "/dev/urandom")] {
        if only.as_deref().is_none_or(|only| only == kind) {
            through(kind, device, bytes).await?;
        }
    }
    Ok(())
}

async fn through(kind: &str, device: &str, bytes: u64) -> anyhow::Result<()> {
    let farm = Farm::start().await?;
    let agent = farm.start_agent().await?;
    // What each takes anyway: a build that makes next to nothing.
    trivial::build(&farm.client, &trivial::lines("small", 1)?).await?;
    let ids = [farm.coordinator_id()?, agent.id()];
    let peaks = || -> anyhow::Result<[f64; 2]> {
        let peak = |id| peak_mib(id).context("a process of the farm has ended");
        Ok([peak(ids[0])?, peak(ids[1])?])
    };
    let before = peaks()?;
    let large = trivial::script(
        "large",
        &format!("/usr/bin/head -c {bytes} {device} > $out"),
    )?;
    let begun = Instant::now();
    trivial::build(&farm.client, std::slice::from_ref(&large)).await?;
    let built = begun.elapsed().as_secs_f64();
    let output = large.output("out").context("it has an output")?;
    let place = farm.directory().join("fetched");
    let mut command = farm.grange(None)?;
    command
        .args(["fetch", &output.to_string(), "--to"])
        .arg(&place);
    let begun = Instant::now();
    let fetch = Process::start(&mut command, &farm.directory().join("fetch.log"))?;
    let (status, client) = fetch.ended().await?;
    anyhow::ensure!(status.success(), "the client ended with {status}");
    let fetched = begun.elapsed().as_secs_f64();
    let size = std::fs::metadata(&place)?.len();
    anyhow::ensure!(size == bytes, "{size} bytes were fetched");

    let after = peaks()?;
    let mib = bytes as f64 / f64::from(1 << 20);
    line(&format!("  {kind}: {bytes} bytes"));
    beside("from submission to success", built, "s");
    beside("fetching", fetched, "s");
    for (what, before, after) in [
        ("coordinator", before[0], after[0]),
        ("agent", before[1], after[1]),
        ("client", 0.0, client),
    ] {
        if before > 0.0 {
            beside(
                &format!("baseline: {what} after a trivial build"),
                before,
                "MiB",
            );
        }
        figure(&format!("{what}, peak"), after, "MiB", Goal::Below(96.0));
        ratio(&format!("of {what}'s peak to the output"), after, mib);
    }
    Ok(())
}
