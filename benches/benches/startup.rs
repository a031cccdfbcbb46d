//! Starting a coordinator that has much to do.
//!
//! 100,000 builds are really submitted, with a derivation each, in layers: some are ready, the others wait for three of
//! them. Then the coordinator is killed and started again, several times: how long until it answers, and how long until
//! an agent that calls all the time has its first assignment. The baseline is a coordinator that has nothing to do.
//!
//! With `--copies 14` it is all of Guix so many times instead, a million builds with 22 inputs each.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use grange::client::MemorySource;
use grange::derivation::{Builder, Instantiated, StoreDir};
use grange::interfaces::message::{Answer, Capacity, ExchangeRequest, Message, VERSIONS};
use grange::interfaces::{Endpoint, Peer};
use grange::model::{SessionId, Tags};
use grange_benches::farm::Farm;
use grange_benches::guix::Guix;
use grange_benches::process::{cpu_of, peak_mib, resident_mib};
use grange_benches::report::{Goal, beside, figure, line, ratio};
use grange_benches::stats::Sample;
use grange_benches::{number, run, trivial};

/// Derivations in a layer.
const LAYER: usize = 5_000;
/// From how many builds on the goals are those of a million.
const MILLION: usize = 1_000_000;
/// How often it is asked for, while it starts.
const ASK: Duration = Duration::from_micros(500);

fn main() -> ExitCode {
    run("startup", measure)
}

/// How long a start took, in seconds.
#[derive(Default)]
struct Starts {
    answers: Vec<f64>,
    assigns: Vec<f64>,
    cpu: Vec<f64>,
}

async fn measure() -> anyhow::Result<()> {
    let mut count = usize::try_from(number("builds", 100_000)?)?;
    let copies = u32::try_from(number("copies", 0)?)?;
    let times = number("starts", 7)?;
    let mut empty = Farm::start().await?;
    let mut farm = Farm::start().await?;
    let (id, password) = farm.new_agent().await?;
    let peer = Peer::Agent { id, password };
    let begun = Instant::now();
    if copies > 0 {
        count = fill_with_guix(&farm, copies).await?;
    } else {
        fill(&farm, count).await?;
    }
    let filled = begun.elapsed().as_secs_f64();
    let grown = peak_mib(farm.coordinator_id()?).context("the coordinator runs")?;
    let held = resident_mib(farm.coordinator_id()?).context("the coordinator runs")?;
    let (seconds, memory_goal) = if count >= MILLION {
        (5.0, Goal::Below(600e6 / f64::from(1 << 20)))
    } else {
        (
            1.0,
            Goal::Below(600e6 / f64::from(1 << 20) * count as f64 / 1e6),
        )
    };

    let (mut idle, mut full) = (Starts::default(), Starts::default());
    let mut memory = 0.0;
    for _ in 0..times {
        start(&mut empty, None, &mut idle).await?;
        start(&mut farm, Some(&peer), &mut full).await?;
        memory = resident_mib(farm.coordinator_id()?).context("the coordinator runs")?;
    }
    let size = std::fs::metadata(farm.directory().join("coordinator/grange.db"))?.len();
    let counts = farm.client.counts().await?;
    line(&format!(
        "  {count} builds, submitted in {filled:.1} s; database of {:.1} MB",
        size as f64 / 1e6
    ));
    line(&format!("  the coordinator counts {counts:?}"));
    beside(
        "peak memory of the coordinator that took them",
        grown,
        "MiB",
    );
    figure("memory of it once it had", held, "MiB", memory_goal);
    figure("memory after a start", memory, "MiB", memory_goal);
    let [idle_answers, answers, assigns, cpu] =
        [idle.answers, full.answers, full.assigns, full.cpu].map(Sample::new);
    line(&format!(
        "  baseline, nothing to do, until Hello, s: {}",
        idle_answers.spread()
    ));
    line(&format!("  until Hello, s: {}", answers.spread()));
    line(&format!(
        "  until the first assignment, s: {}",
        assigns.spread()
    ));
    beside(
        "processor time until the first assignment",
        cpu.median(),
        "s",
    );
    figure(
        "start until Hello, median",
        answers.median(),
        "s",
        Goal::Below(seconds),
    );
    figure(
        "start until the first assignment, median",
        assigns.median(),
        "s",
        Goal::Below(seconds),
    );
    ratio(
        "to a coordinator that has nothing to do",
        answers.median(),
        idle_answers.median(),
    );
    Ok(())
}

async fn fill(farm: &Farm, count: usize) -> anyhow::Result<()> {
    let store = StoreDir::guix();
    let mut layers: Vec<Vec<Instantiated>> = Vec::new();
    for begin in (0..count).step_by(LAYER) {
        let mut layer = Vec::new();
        for number in begin..count.min(begin + LAYER) {
            let name = format!("package-{number}");
            let mut builder = Builder::new(&store, name, trivial::system(), "/bin/sh")
                .args(["-c", "echo $inputs > $out"])
                .env("flags", "-O2 -g -Wall ".repeat(20));
            if let Some(before) = layers.last() {
                for input in [1, 7, 20] {
                    builder = builder.input(&before[(number - begin + input) % LAYER], &["out"]);
                }
            }
            layer.push(builder.instantiate()?);
        }
        trivial::submit(&farm.client, &layer).await?;
        layers.push(layer);
    }
    Ok(())
}

/// All of Guix so many times; how many builds that is.
async fn fill_with_guix(farm: &Farm, copies: u32) -> anyhow::Result<usize> {
    let guix = Guix::new()?;
    let mut count = 0;
    for copy in 0..copies {
        let mut source = MemorySource::new();
        guix.add_sources(&mut source);
        let mut paths = Vec::new();
        guix.write(copy, |_, path, text| {
            paths.push(path.clone());
            source.add_derivation(path.clone(), text);
            Ok(())
        })?;
        let tops = guix.graph().tops();
        let asked = tops
            .iter()
            .map(|top| trivial::request_for(&paths[*top as usize]));
        farm.client
            .submit(asked.collect(), Arc::new(source), &|_| {})
            .await?;
        count += paths.len();
    }
    Ok(count)
}

/// Kills the coordinator, starts it, and looks how long that takes.
async fn start(farm: &mut Farm, agent: Option<&Peer>, starts: &mut Starts) -> anyhow::Result<()> {
    farm.coordinator = None;
    let begun = Instant::now();
    farm.start_coordinator()?;
    let hello = Message::Hello {
        versions: VERSIONS,
        software: "grange-benches".to_owned(),
    };
    let client = farm.client_as(agent.cloned().unwrap_or(Peer::Anonymous))?;
    answer(client.endpoint().as_ref(), client.peer(), &hello).await?;
    starts.answers.push(begun.elapsed().as_secs_f64());
    if agent.is_some() {
        let session = SessionId(uuid::Uuid::now_v7());
        for revision in 1.. {
            let exchange = Message::Exchange(exchange(session, revision));
            let answer = answer(client.endpoint().as_ref(), client.peer(), &exchange).await?;
            if matches!(answer, Answer::Exchange(answer) if !answer.assign.is_empty()) {
                break;
            }
        }
        starts.assigns.push(begun.elapsed().as_secs_f64());
        starts
            .cpu
            .push(cpu_of(farm.coordinator_id()?)?.own.as_secs_f64());
    }
    Ok(())
}

/// Asks until there is an answer.
async fn answer(endpoint: &dyn Endpoint, peer: &Peer, message: &Message) -> anyhow::Result<Answer> {
    loop {
        match endpoint.call(peer, message.clone(), None).await {
            Ok((answer, _)) => return Ok(answer),
            Err(refusal) if refusal.is_transient() => tokio::time::sleep(ASK).await,
            Err(refusal) => return Err(refusal.into()),
        }
    }
}

fn exchange(session: SessionId, revision: u64) -> ExchangeRequest {
    ExchangeRequest {
        session,
        revision,
        capacity: Capacity {
            systems: vec![trivial::system()],
            tags: Tags::new(),
            exclusive: Vec::new(),
            parallel: 1,
            ahead: 0,
            resources: grange_model::Resources::new(),
            admission: grange::interfaces::message::Admission::default(),
            speed: 0,
        },
        load: 0,
        health: grange::interfaces::message::Health::default(),
        attempts: Vec::new(),
        wait_ms: 10_000,
    }
}
