//! How long a ready build takes to reach an agent that waits.
//!
//! From the moment at which a client begins to send `Submit` for one build, to the moment at which the answer to the
//! agent's `Exchange`, with the assignment in it, has arrived: two HTTP/1.1 connections over TCP on loopback, the
//! coordinator in a process of its own, with SQLite and all durability. The derivation is there already. Between two
//! builds the agent reports that the last one failed, asks anew, and waits.
//!
//! With `--agents 1000 --runnable 200000` so many agents wait, each on a connection of its own, while so many builds of another
//! system are ready; which agent gets a build is the coordinator's choice. Between two builds an agent of that other system
//! asks for one of those: how long it takes until it has it is told as well.

use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use grange::derivation::{Builder as Recipe, StoreDir};
use grange::interfaces::message::{
    Answer, Capacity, ExchangeAnswer, ExchangeRequest, Message, Report, VERSIONS,
};
use grange::interfaces::{Endpoint, Peer, Refusal};
use grange::model::{AttemptId, FailureKind, SessionId, Tags};
use grange_benches::agent::Agent;
use grange_benches::farm::Farm;
use grange_benches::process::cpu_of;
use grange_benches::report::{Goal, beside, figure, line, machine, ratio};
use grange_benches::stats::Sample;
use grange_benches::wire::{Wire, Wires, authorization};
use grange_benches::{number, run, trivial};

/// So long the coordinator has nothing to do before each build.
const PAUSE: Duration = Duration::from_millis(10);
/// What those builds are for that nobody waits for.
const OTHER: &str = "armhf-linux";
/// How many of them are submitted together.
const PUT: usize = 5_000;

fn main() -> ExitCode {
    run("latency", measure)
}

async fn measure() -> anyhow::Result<()> {
    let count = usize::try_from(number("builds", 1_000)?)?;
    let agents = usize::try_from(number("agents", 0)?)?;
    if agents > 0 {
        return crowd(
            agents,
            usize::try_from(number("runnable", 200_000)?)?,
            count,
        )
        .await;
    }
    let farm = Farm::start().await?;
    let (id, password) = farm.new_agent().await?;
    let peer = Peer::Agent { id, password };
    let agent = farm.client_as(peer.clone())?;
    let derivations = trivial::lines("latency", count)?;
    put(&farm, &derivations).await?;

    let mut disk = File::create(farm.directory().join("baseline"))?;
    let (mut reached, mut acknowledged, mut synced, mut round_trips) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let session = SessionId(uuid::Uuid::now_v7());
    let mut revision = 0;
    for derivation in &derivations {
        revision += 1;
        let (endpoint, peer) = (Arc::clone(agent.endpoint()), peer.clone());
        let message = Message::Exchange(exchange(session, revision));
        let waiting = tokio::spawn(async move {
            let answer = endpoint.call(&peer, message, None).await;
            (Instant::now(), answer)
        });
        tokio::time::sleep(PAUSE).await;
        let message = Message::Submit {
            builds: vec![trivial::request(derivation)],
        };
        let begun = Instant::now();
        let (client, operator) = (farm.client.endpoint(), farm.client.peer());
        client.call(operator, message, None).await?;
        acknowledged.push(begun.elapsed());
        let (arrived, answer) = waiting.await?;
        reached.push(arrived - begun);
        end(agent.endpoint().as_ref(), agent.peer(), answer).await?;

        let begun = Instant::now();
        disk.write_all(&[1; 4096])?;
        disk.sync_data()?;
        synced.push(begun.elapsed());
        let begun = Instant::now();
        farm.client.hello("grange-benches").await?;
        round_trips.push(begun.elapsed());
    }

    let [reached, acknowledged, synced, round_trips] =
        [reached, acknowledged, synced, round_trips].map(|times| Sample::of_millis(&times));
    line(&format!("  {count} builds, one after the other"));
    for (what, sample) in [
        ("assignment at the agent", &reached),
        ("answer to Submit", &acknowledged),
        ("baseline: append of 4 KiB and fdatasync", &synced),
        ("baseline: Hello over the same connection", &round_trips),
    ] {
        beside(&format!("{what}, p50"), sample.percentile(50), "ms");
        beside(&format!("{what}, p99"), sample.percentile(99), "ms");
    }
    let target = Goal::Below(10.0);
    figure(
        "a ready build reaches a waiting agent, p99",
        reached.percentile(99),
        "ms",
        target,
    );
    let floor = |percent| synced.percentile(percent) + round_trips.percentile(percent);
    for percent in [50, 99] {
        let what = format!("p{percent} to one fdatasync and one Hello");
        ratio(&what, reached.percentile(percent), floor(percent));
    }
    Ok(())
}

/// So many agents wait, and so many builds are ready that are not for them.
async fn crowd(agents: usize, runnable: usize, count: usize) -> anyhow::Result<()> {
    let farm = Farm::start().await?;
    let derivations = trivial::lines("latency", count)?;
    put(&farm, &derivations).await?;
    let begun = Instant::now();
    for first in (0..runnable).step_by(PUT) {
        let other = |number| {
            let name = format!("other-{number}");
            Recipe::new(&StoreDir::guix(), name, OTHER, "/bin/sh").instantiate()
        };
        let part = (first..runnable.min(first + PUT)).map(other);
        trivial::submit(&farm.client, &part.collect::<Result<Vec<_>, _>>()?).await?;
    }
    let mut crowd = Crowd::new(&farm, agents).await?;
    line(&format!(
        "  {runnable} builds are ready and {agents} agents wait after {:.1} s; {}",
        begun.elapsed().as_secs_f64(),
        machine()
    ));
    let mut disk = File::create(farm.directory().join("baseline"))?;
    let (mut synced, mut round_trips) = (Vec::new(), Vec::new());
    let operator = authorization(farm.client.peer());
    let mut wire = Wire::open(format!("127.0.0.1:{}", farm.port()).parse()?)?;
    let hello = Message::Hello {
        versions: VERSIONS,
        software: "grange-benches".to_owned(),
    };
    let cpu = cpu_of(farm.coordinator_id()?)?.own;
    let begun = Instant::now();
    for derivation in &derivations {
        let until = Instant::now() + PAUSE;
        while let Some(rest) = until.checked_duration_since(Instant::now()) {
            crowd.look(rest)?;
        }
        let builds = vec![trivial::request(derivation)];
        crowd.submitted = Some(Instant::now());
        wire.send(&operator, &Message::Submit { builds }, &[])?;
        while crowd.submitted.is_some() {
            crowd.look(Duration::from_secs(10))?;
        }
        while wire.receive()?.is_none() {
            crowd.look(Duration::from_micros(100))?;
        }
        crowd.next()?;
        let begun = Instant::now();
        disk.write_all(&[1; 4096])?;
        disk.sync_data()?;
        synced.push(begun.elapsed());
        let begun = Instant::now();
        wire.ask("", &hello, &[])?;
        round_trips.push(begun.elapsed());
    }
    let used =
        (cpu_of(farm.coordinator_id()?)?.own - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    beside(
        "part of a processor that the coordinator used",
        100.0 * used,
        "%",
    );
    let [reached, next, synced, round_trips] =
        [crowd.reached, crowd.next, synced, round_trips].map(|times| Sample::of_millis(&times));
    for (what, sample) in [
        (
            "an agent that asks has the next of those that are ready",
            &next,
        ),
        ("baseline: append of 4 KiB and fdatasync", &synced),
        ("baseline: Hello over the same connection", &round_trips),
    ] {
        beside(&format!("{what}, p50"), sample.percentile(50), "ms");
        beside(&format!("{what}, p99"), sample.percentile(99), "ms");
    }
    for (percent, goal) in [(50, 2.0), (99, 10.0)] {
        let what = format!("a ready build reaches one of {agents} waiting agents, p{percent}");
        let value = reached.percentile(percent);
        figure(&what, value, "ms", Goal::Below(goal));
        let floor = synced.percentile(percent) + round_trips.percentile(percent);
        ratio("to one fdatasync and one Hello", value, floor);
    }
    Ok(())
}

/// Agents that wait.
struct Crowd {
    /// One for each agent; the last is of the other system.
    wires: Wires,
    agents: Vec<Agent>,
    /// When a build was submitted that nobody has yet.
    submitted: Option<Instant>,
    reached: Vec<Duration>,
    /// When the last agent has asked for its next build; none if it does nothing.
    asked: Option<Instant>,
    next: Vec<Duration>,
}

impl Crowd {
    async fn new(farm: &Farm, count: usize) -> anyhow::Result<Self> {
        let mut agents = Vec::new();
        for _ in 0..count {
            agents.push(Agent::new(farm).await?);
        }
        agents.push(Agent::of(farm, OTHER).await?);
        let server = format!("127.0.0.1:{}", farm.port()).parse()?;
        let mut crowd = Self {
            wires: Wires::open(server, agents.len())?,
            agents,
            submitted: None,
            reached: Vec::new(),
            asked: None,
            next: Vec::new(),
        };
        for (at, agent) in crowd.agents.iter_mut().enumerate().take(count) {
            let exchange = agent.exchange(1, 30_000);
            crowd.wires.send(at, &agent.authorization, &exchange)?;
        }
        Ok(crowd)
    }

    /// Has the last agent ask for a build, and waits until it has reported it.
    fn next(&mut self) -> anyhow::Result<()> {
        let at = self.agents.len() - 1;
        let agent = &mut self.agents[at];
        let exchange = agent.exchange(1, 30_000);
        self.asked = Some(Instant::now());
        self.wires.send(at, &agent.authorization, &exchange)?;
        while self.asked.is_some() {
            self.look(Duration::from_secs(10))?;
        }
        Ok(())
    }

    /// Takes what is answered, waiting for so long; whoever has a build says that it failed and asks for another.
    fn look(&mut self, wait: Duration) -> anyhow::Result<()> {
        let Self {
            wires,
            agents,
            submitted,
            reached,
            asked,
            next,
        } = self;
        let other = agents.len() - 1;
        wires.answers(wait, |wires, at, answer| {
            let agent = &mut agents[at];
            let message = match answer {
                Answer::Exchange(ExchangeAnswer { assign, .. }) => match assign.first() {
                    Some(assignment) if at == other => {
                        let asked = asked.context("it has asked for nothing")?;
                        next.push(asked.elapsed());
                        failed(assignment.attempt)
                    }
                    Some(assignment) => {
                        let submitted = submitted.take().context("nothing was submitted")?;
                        reached.push(submitted.elapsed());
                        failed(assignment.attempt)
                    }
                    None => agent.exchange(1, 30_000),
                },
                Answer::Reported(refusals) if refusals == [None] => agent.exchange(1, 30_000),
                other => bail!("the answer is of another kind: {other:?}"),
            };
            if at == other && matches!(message, Message::Exchange(_)) {
                *asked = None;
                return Ok(());
            }
            wires.send(at, &agent.authorization, &message)
        })?;
        Ok(())
    }
}

/// Says that this attempt has failed.
fn failed(attempt: AttemptId) -> Message {
    let report = Report::Failed {
        kind: FailureKind::Exit(1),
        message: "it is only a benchmark".to_owned(),
        log_size: 0,
        usage: grange_model::Usage::default(),
    };
    Message::Report {
        reports: vec![(attempt, report)],
    }
}

/// Sends the texts of the derivations.
async fn put(farm: &Farm, derivations: &[grange::derivation::Instantiated]) -> anyhow::Result<()> {
    let mut body = Vec::new();
    for derivation in derivations {
        for part in [derivation.path.to_string().as_bytes(), &derivation.text] {
            body.extend(u32::try_from(part.len())?.to_be_bytes());
            body.extend(part);
        }
    }
    let body = one_piece(body);
    let (client, operator) = (farm.client.endpoint(), farm.client.peer());
    client
        .call(operator, Message::PutDerivations, Some(body))
        .await?;
    Ok(())
}

fn one_piece(bytes: Vec<u8>) -> grange::interfaces::Body {
    use futures::StreamExt as _;
    futures::stream::iter([Ok(bytes.into())]).boxed()
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
        wait_ms: 30_000,
    }
}

/// Reports that the build which was assigned has failed.
async fn end(
    endpoint: &dyn Endpoint,
    peer: &Peer,
    answer: Result<(Answer, Option<grange::interfaces::Body>), Refusal>,
) -> anyhow::Result<()> {
    let (Answer::Exchange(ExchangeAnswer { assign, .. }), _) = answer? else {
        bail!("the answer to Exchange is of another kind");
    };
    let assigned = assign.first().context("nothing was assigned")?;
    let report = failed(assigned.attempt);
    match endpoint.call(peer, report, None).await? {
        (Answer::Reported(refusals), _) if refusals == [None] => Ok(()),
        (other, _) => bail!("the report was not taken: {other:?}"),
    }
}
