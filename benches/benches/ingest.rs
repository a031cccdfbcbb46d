//! How long it takes until a coordinator has taken all of Guix.
//!
//! A client that has the texts of 71,764 derivations asks for those 10,078 that no other needs: what the coordinator lacks
//! of their closure is found out, sent, verified, made durable, and every derivation has a build, in the end. Over HTTP/1.1
//! on loopback, with SQLite and `synchronous=FULL`; the coordinator in a process of its own, the client pinned to the second
//! processor. As the one waits for the other most of the time, the coordinator may use both (`--pinned 1`: only the first). The sources lie with the coordinator before. The texts are not a Guix's own, but are
//! made from its graph: see `grange_benches::guix`. The baseline is the same client doing the same once more, when nothing
//! is lacking, and the texts alone written to a file and synced.

use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grange::client::{MemorySource, Submitted};
use grange::interfaces::message::Submission;
use grange::interfaces::{Peer, Secret};
use grange_benches::farm::{Farm, TOKEN};
use grange_benches::guix::Guix;
use grange_benches::load::pin;
use grange_benches::process::{cpu_of, own_cpu, peak_mib};
use grange_benches::report::{Goal, beside, figure, line, ratio};
use grange_benches::{number, run, trivial};

/// Where the coordinator runs, and where the client does.
const COORDINATOR: usize = 0;
const CLIENT: usize = 1;

fn main() -> ExitCode {
    run("ingest", measure)
}

async fn measure() -> anyhow::Result<()> {
    if number("pinned", 0)? > 0 {
        pin(COORDINATOR)?;
    }
    let farm = Farm::start().await?;
    pin(CLIENT)?;
    let guix = Guix::new()?;
    let tops = guix.graph().tops();
    let mut sources = MemorySource::new();
    guix.add_sources(&mut sources);
    let user = guix.user_of_sources()?;
    sources.add(&user);
    submit(
        &farm,
        vec![user.path.to_string()],
        &Arc::new(sources.clone()),
    )?;

    let mut paths = Vec::new();
    let mut bytes = 0;
    let mut disk = File::create(farm.directory().join("baseline"))?;
    let mut written = Duration::ZERO;
    guix.write(0, |_, path, text| {
        bytes += text.len();
        paths.push(path.to_string());
        let begun = Instant::now();
        disk.write_all(&text)?;
        written += begun.elapsed();
        sources.add_derivation(path.clone(), text);
        Ok(())
    })?;
    let begun = Instant::now();
    disk.sync_data()?;
    written += begun.elapsed();
    let sources = Arc::new(sources);
    let asked: Vec<String> = tops
        .iter()
        .map(|top| paths[*top as usize].clone())
        .collect();
    let count = paths.len();
    line(&format!(
        "  {count} derivations, {bytes} bytes of text; {} are asked for",
        asked.len()
    ));

    let coordinator =
        || -> anyhow::Result<f64> { Ok(cpu_of(farm.coordinator_id()?)?.own.as_secs_f64()) };
    let before = (coordinator()?, own_cpu()?.own.as_secs_f64());
    let took = submit(&farm, asked.clone(), &sources)?;
    let after = (coordinator()?, own_cpu()?.own.as_secs_f64());
    let counts = farm.client.counts().await?;
    line(&format!("  the coordinator counts {:?}", counts.builds));
    beside("processor time of the coordinator", after.0 - before.0, "s");
    beside("processor time of the client", after.1 - before.1, "s");
    if let Some(peak) = peak_mib(farm.coordinator_id()?) {
        beside("peak memory of the coordinator", peak, "MiB");
    }
    beside(
        "baseline: the texts written to a file and synced",
        written.as_secs_f64(),
        "s",
    );
    let again = submit(&farm, asked, &sources)?;
    beside("baseline: the same asked for once more", again, "s");
    figure(
        "all of Guix, durable and scheduled",
        took,
        "s",
        Goal::Below(10.0),
    );
    ratio(
        "to the texts written to a file and synced",
        took,
        written.as_secs_f64(),
    );
    Ok(())
}

/// Submits these on the client's processor; how long it took.
fn submit(farm: &Farm, paths: Vec<String>, source: &Arc<MemorySource>) -> anyhow::Result<f64> {
    std::thread::scope(|scope| {
        let submitting = scope.spawn(|| {
            pin(CLIENT)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let client = farm.client_as(Peer::Token(Secret(TOKEN.to_owned())))?;
                let requests = paths.iter().map(trivial::request_for).collect();
                let source = Arc::<MemorySource>::clone(source);
                let begun = Instant::now();
                let Submitted { submissions, .. } =
                    client.submit(requests, source, &|_| {}).await?;
                let took = begun.elapsed().as_secs_f64();
                for submission in submissions {
                    if let Submission::Refused(refusal) = submission {
                        return Err(refusal.into());
                    }
                }
                Ok(took)
            })
        });
        submitting.join().expect("a panic there is one here")
    })
}
