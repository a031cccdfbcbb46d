//! How long a ready build takes to reach an agent that waits.
//!
//! From the moment at which a client begins to send `Submit` for one build, to the moment at which the answer to the
//! agent's `Exchange`, with the assignment in it, has arrived: two HTTP/1.1 connections over TCP on loopback, the
//! coordinator in a process of its own, with SQLite and all durability. The derivation is there already. Between two
//! builds the agent reports that the last one failed, asks anew, and waits.

use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use grange::interfaces::message::{
    Answer, Capacity, ExchangeAnswer, ExchangeRequest, Message, Report,
};
use grange::interfaces::{Endpoint, Peer, Refusal};
use grange::model::{FailureKind, SessionId, Tags};
use grange_benches::farm::Farm;
use grange_benches::report::{Goal, beside, figure, line, ratio};
use grange_benches::stats::Sample;
use grange_benches::{number, run, trivial};

/// So long the coordinator has nothing to do before each build.
const PAUSE: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    run("latency", measure)
}

async fn measure() -> anyhow::Result<()> {
    let count = usize::try_from(number("builds", 1_000)?)?;
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
    let report = Report::Failed {
        kind: FailureKind::Exit(1),
        message: "it is only a benchmark".to_owned(),
        log_size: 0,
        usage: grange_model::Usage::default(),
    };
    let reports = vec![(assigned.attempt, report)];
    match endpoint
        .call(peer, Message::Report { reports }, None)
        .await?
    {
        (Answer::Reported(refusals), _) if refusals == [None] => Ok(()),
        (other, _) => bail!("the report was not taken: {other:?}"),
    }
}
