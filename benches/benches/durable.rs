//! How many builds a coordinator takes through their lives in a second, with everything on the disk before it is answered.
//!
//! Over HTTP/1.1 on loopback, with SQLite and `synchronous=FULL`. The load generator is this process, one thread pinned to
//! the second processor; the coordinator is a process of its own pinned to the first (`--spread 1`: on both). A life is:
//! `Submit` by a client, `Exchange` by an agent that gets the attempt, `Report` that it succeeded, each answered, in
//! messages of up to 100 builds; each connection does one after the other. Then the same with one build in a message. Then
//! assignments alone: agents that take a hundred each of what is ready.
//!
//! Derivations are known before, one for each build. Outputs are named as blobs that lie sealed already, a few hundred
//! bytes each: fetching inputs and sending outputs are no part of it (nor is `Job`); that the coordinator reads and
//! verifies each output that a report names is.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use data_encoding::HEXLOWER;
use grange::derivation::{Instantiated, nar};
use grange::interfaces::message::{
    Answer, Assignment, Message, Report, ReportedOutput, Submission, VERSIONS,
};
use grange::interfaces::{Peer, Secret, frame};
use grange::model::AttemptId;
use grange_benches::agent::Agent;
use grange_benches::farm::{Farm, TOKEN};
use grange_benches::load::pin;
use grange_benches::process::{cpu_of, own_cpu};
use grange_benches::report::{Goal, beside, figure, line, machine, ratio};
use grange_benches::wire::{Wire, Wires, authorization};
use grange_benches::{number, run, trivial};
use sha2::{Digest as _, Sha256};

/// Where the coordinator runs, and where the load generator does.
const COORDINATOR: usize = 0;
const GENERATOR: usize = 1;
/// Derivations in one message.
const PUT: usize = 500;
/// How long to wait for any answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long agents wait for something to do.
const WAIT_MS: u64 = 10_000;
/// How long baselines are measured.
const BASELINE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    run("durable", measure)
}

async fn measure() -> anyhow::Result<()> {
    let count =
        |name, default| -> anyhow::Result<usize> { Ok(usize::try_from(number(name, default)?)?) };
    let batch = count("batch", 100)?;
    let lives = count("builds", 60_000)?;
    let single = count("single", 20_000)?;
    let assigned = count("assigned", 100_000)?;
    let connections = count("connections", 16)?;
    let single_connections = count("single-connections", 128)?;
    if number("spread", 0)? == 0 {
        pin(COORDINATOR)?;
    }
    let farm = Farm::start().await?;
    pin(GENERATOR)?;
    let server: SocketAddr = format!("127.0.0.1:{}", farm.port()).parse()?;

    let syncs = syncs(&farm)?;
    let hellos = hellos(server)?;
    beside(
        "baseline: appends of 4 KiB, each with fdatasync",
        syncs,
        "a second",
    );
    beside("baseline: Hello on one connection", hellos, "a second");

    let mut bench = Bench::new(farm, server, batch.max(1))?;
    bench.agents(connections.max(single_connections)).await?;
    let begun = Instant::now();
    let sealed = bench.put("sealed", batch)?;
    let first = bench.put("batched", lives)?;
    let second = bench.put("single", single)?;
    let third = bench.put("assigned", assigned)?;
    let all = sealed.len() + first.len() + second.len() + third.len();
    let took = begun.elapsed().as_secs_f64();
    line(&format!("  {all} derivations known after {took:.1} s"));
    bench.seal(&sealed)?;

    line(&format!(
        "  {lives} builds, {batch} in a message, {connections} connections; {}",
        machine()
    ));
    let batched = bench.live(first, batch, connections)?;
    figure(
        "lifecycles, batched",
        batched,
        "a second",
        Goal::Above(20_000.0),
    );
    ratio("to appends with fdatasync", batched, syncs);
    line(&format!(
        "  {single} builds, one in a message, {single_connections} connections; {}",
        machine()
    ));
    let singly = bench.live(second, 1, single_connections)?;
    figure(
        "lifecycles, one in a message",
        singly,
        "a second",
        Goal::Above(8_000.0),
    );
    ratio("to appends with fdatasync", singly, syncs);
    ratio("messages to Hello on one connection", 3.0 * singly, hellos);
    line(&format!(
        "  {assigned} builds, {batch} for each agent, {connections} connections; {}",
        machine()
    ));
    let assignments = bench.assign(third, batch, connections).await?;
    figure(
        "assignments",
        assignments,
        "a second",
        Goal::Above(100_000.0),
    );
    ratio("to appends with fdatasync", assignments, syncs);
    Ok(())
}

/// How often the disk takes 4 KiB in a second.
fn syncs(farm: &Farm) -> anyhow::Result<f64> {
    let mut disk = File::create(farm.directory().join("baseline"))?;
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < BASELINE {
        disk.write_all(&[1; 4096])?;
        disk.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

/// How often the coordinator answers in a second that does nothing for it.
fn hellos(server: SocketAddr) -> anyhow::Result<f64> {
    let mut wire = Wire::open(server)?;
    let hello = Message::Hello {
        versions: VERSIONS,
        software: "grange-benches".to_owned(),
    };
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < BASELINE {
        wire.ask("", &hello, &[])?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

struct Bench {
    farm: Farm,
    server: SocketAddr,
    operator: String,
    agents: Vec<Agent>,
    /// Outputs that lie sealed.
    sealed: Vec<ReportedOutput>,
}

impl Bench {
    fn new(farm: Farm, server: SocketAddr, batch: usize) -> anyhow::Result<Self> {
        let sealed = (0..batch).map(output).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            farm,
            server,
            operator: authorization(&Peer::Token(Secret(TOKEN.to_owned()))),
            agents: Vec::new(),
            sealed: sealed.into_iter().map(|(said, _)| said).collect(),
        })
    }

    /// Makes agents known, so that there are so many.
    async fn agents(&mut self, count: usize) -> anyhow::Result<()> {
        while self.agents.len() < count {
            self.agents.push(Agent::new(&self.farm).await?);
        }
        Ok(())
    }

    /// Makes so many derivations known; their paths.
    fn put(&self, label: &str, count: usize) -> anyhow::Result<Vec<String>> {
        let mut wire = Wire::open(self.server)?;
        let mut paths = Vec::new();
        let all: Vec<Instantiated> = trivial::lines(label, count)?;
        for part in all.chunks(PUT) {
            let mut body = Vec::new();
            for one in part {
                let path = one.path.to_string();
                body.extend_from_slice(&frame(&path, &one.text)?);
                paths.push(path);
            }
            let answer = wire.ask(&self.operator, &Message::PutDerivations, &body)?;
            ensure!(answer == Answer::Done, "{answer:?}");
        }
        Ok(paths)
    }

    /// Has the outputs sealed that all others name.
    fn seal(&mut self, derivations: &[String]) -> anyhow::Result<()> {
        let mut wire = Wire::open(self.server)?;
        let builds = derivations.iter().map(trivial::request_for).collect();
        wire.ask(&self.operator, &Message::Submit { builds }, &[])?;
        let agent = &mut self.agents[0];
        let exchange = agent.exchange(u32::try_from(derivations.len())?, WAIT_MS);
        let assigned = assigned(wire.ask(&agent.authorization, &exchange, &[])?)?;
        ensure!(
            assigned.len() == derivations.len(),
            "{} builds were assigned",
            assigned.len()
        );
        for (number, assignment) in assigned.iter().enumerate() {
            let (said, bytes) = output(number)?;
            let upload = Message::AppendUpload {
                attempt: assignment.attempt,
                output: "out".to_owned(),
                file_hash: said.file_hash,
                offset: 0,
            };
            wire.ask(&agent.authorization, &upload, &bytes)?;
        }
        let attempts: Vec<_> = assigned.iter().map(|it| it.attempt).collect();
        let answer = wire.ask(&agent.authorization, &report(&attempts, &self.sealed), &[])?;
        taken(&answer)
    }

    /// Takes builds of these from `Submit` to the answer to `Report`; how many in a second.
    fn live(
        &mut self,
        derivations: Vec<String>,
        batch: usize,
        connections: usize,
    ) -> anyhow::Result<f64> {
        let Self {
            farm,
            server,
            operator,
            agents,
            sealed,
        } = self;
        let count = derivations.len();
        let mut wires = Wires::open(*server, connections)?;
        let mut derivations = derivations.into_iter();
        // How many of what a connection has submitted somebody has still to build.
        let mut left = vec![0_u32; connections];
        // How many it has reported, and is to be answered.
        let mut reported = vec![0; connections];
        let mut done = 0;
        let mut submit = |wires: &mut Wires, at: usize, left: &mut u32| -> anyhow::Result<()> {
            let builds: Vec<_> = derivations
                .by_ref()
                .take(batch)
                .map(|path| trivial::request_for(&path))
                .collect();
            *left = u32::try_from(builds.len())?;
            if builds.is_empty() {
                return Ok(());
            }
            wires.send(at, operator, &Message::Submit { builds })
        };
        let used = Used::now(farm)?;
        for (at, left) in left.iter_mut().enumerate() {
            submit(&mut wires, at, left)?;
        }
        while done < count {
            let come = wires.answers(PATIENCE, |wires, at, answer| {
                let agent = &mut agents[at];
                match answer {
                    Answer::Submitted(all) => {
                        let good = |it: &Submission| matches!(it, Submission::Accepted { .. });
                        ensure!(all.iter().all(good), "a build was refused: {all:?}");
                        let exchange = agent.exchange(u32::try_from(batch)?, WAIT_MS);
                        wires.send(at, &agent.authorization, &exchange)
                    }
                    Answer::Exchange(answer) => {
                        ensure!(!answer.assign.is_empty(), "nothing was assigned in time");
                        let attempts: Vec<_> = answer.assign.iter().map(|it| it.attempt).collect();
                        left[at] -= u32::try_from(attempts.len())?;
                        reported[at] = attempts.len();
                        wires.send(at, &agent.authorization, &report(&attempts, sealed))
                    }
                    answer @ Answer::Reported(_) => {
                        taken(&answer)?;
                        done += reported[at];
                        if left[at] == 0 {
                            return submit(wires, at, &mut left[at]);
                        }
                        let exchange = agent.exchange(left[at], WAIT_MS);
                        wires.send(at, &agent.authorization, &exchange)
                    }
                    other => bail!("{other:?}"),
                }
            })?;
            ensure!(come > 0, "nothing is answered any more");
        }
        used.tell(farm, count)
    }

    /// Has these submitted, and then agents take them; how many in a second.
    async fn assign(
        &mut self,
        derivations: Vec<String>,
        batch: usize,
        connections: usize,
    ) -> anyhow::Result<f64> {
        let count = derivations.len();
        self.agents(count.div_ceil(batch)).await?;
        let mut wire = Wire::open(self.server)?;
        for part in derivations.chunks(1_000) {
            let builds = part.iter().map(trivial::request_for).collect();
            wire.ask(&self.operator, &Message::Submit { builds }, &[])?;
        }
        let mut wires = Wires::open(self.server, connections)?;
        let mut agents = self.agents.iter_mut();
        let mut done = 0;
        let used = Used::now(&self.farm)?;
        for at in 0..connections {
            if let Some(agent) = agents.next() {
                let exchange = agent.exchange(u32::try_from(batch)?, WAIT_MS);
                wires.send(at, &agent.authorization, &exchange)?;
            }
        }
        while done < count {
            let come = wires.answers(PATIENCE, |wires, at, answer| {
                let got = assigned(answer)?.len();
                ensure!(got > 0, "nothing was assigned in time");
                done += got;
                match agents.next() {
                    Some(agent) if done < count => {
                        let exchange = agent.exchange(u32::try_from(batch)?, WAIT_MS);
                        wires.send(at, &agent.authorization, &exchange)
                    }
                    _ => Ok(()),
                }
            })?;
            ensure!(come > 0, "nothing is answered any more");
        }
        used.tell(&self.farm, count)
    }
}

/// When something began, and what both sides had used by then.
struct Used {
    begun: Instant,
    coordinator: Duration,
    generator: Duration,
}

impl Used {
    fn now(farm: &Farm) -> anyhow::Result<Self> {
        Ok(Self {
            coordinator: cpu_of(farm.coordinator_id()?)?.own,
            generator: own_cpu()?.own,
            begun: Instant::now(),
        })
    }

    /// Says what part of a processor each used since; how many of `count` were done in a second.
    fn tell(&self, farm: &Farm, count: usize) -> anyhow::Result<f64> {
        let took = self.begun.elapsed().as_secs_f64();
        let since = |now: Duration, before: Duration| (now - before).as_secs_f64();
        let coordinator = since(cpu_of(farm.coordinator_id()?)?.own, self.coordinator);
        let generator = since(own_cpu()?.own, self.generator);
        for (what, used) in [("coordinator", coordinator), ("load generator", generator)] {
            let (percent, each) = (100.0 * used / took, used * 1e6 / count as f64);
            line(&format!(
                "  the {what} used {percent:.0} % of a processor, {each:.1} us for each"
            ));
        }
        Ok(count as f64 / took)
    }
}

/// An output that is the same for this number, and the file that is sent of it.
fn output(number: usize) -> anyhow::Result<(ReportedOutput, Vec<u8>)> {
    let nar = nar::of_file(format!("the output that has number {number}\n").as_bytes());
    let file = zstd::encode_all(&nar[..], 3)?;
    let hash = |bytes: &[u8]| HEXLOWER.encode(&Sha256::digest(bytes));
    let said = ReportedOutput {
        name: "out".to_owned(),
        file_hash: hash(&file),
        file_size: file.len() as u64,
        nar_hash: hash(&nar),
        nar_size: nar.len() as u64,
        references: Vec::new(),
    };
    Ok((said, file))
}

/// All of these have succeeded.
fn report(attempts: &[AttemptId], sealed: &[ReportedOutput]) -> Message {
    let reports = attempts
        .iter()
        .zip(sealed.iter().cycle())
        .map(|(attempt, output)| {
            let report = Report::Succeeded {
                outputs: vec![output.clone()],
                log_size: 0,
                usage: grange_model::Usage::default(),
            };
            (*attempt, report)
        });
    Message::Report {
        reports: reports.collect(),
    }
}

fn taken(answer: &Answer) -> anyhow::Result<()> {
    let Answer::Reported(refusals) = answer else {
        bail!("{answer:?}");
    };
    match refusals.iter().flatten().next() {
        Some(refusal) => Err(refusal.clone()).context("a report was not taken"),
        None => Ok(()),
    }
}

fn assigned(answer: Answer) -> anyhow::Result<Vec<Assignment>> {
    match answer {
        Answer::Exchange(answer) => Ok(answer.assign),
        other => bail!("{other:?}"),
    }
}
