//! The coordinator's core alone, in one thread, with as much to do as there may be.
//!
//! All of Guix, several times, or a graph in layers, is stored, submitted, and built to the last by agents of whom each
//! takes a hundred at a time. Commits are durable at once; what is timed is the core's own processor time, its calls and its effects.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use grange_benches::process::resident_mib;
use grange_benches::report::{Goal, beside, figure, line};
use grange_benches::{number, run};
use grange_coordinator_core::{
    AgentChange, AttemptPhase, Capacity, Config, DeniedWhy, Exchange, Input, Reply, Report,
    StateCounts, Why,
};
use grange_model::{
    AgentId, AgentRecord, AttemptId, BuildSpec, Digest, Limits, Record, SessionId, Tags, Timestamp,
};
use grange_replay::{Copies, Graph, Layers, Shell, Spent};
use uuid::Uuid;

/// Derivations in one message, as the shell of a coordinator takes them.
const STORED: usize = 1_000;
/// Builds in one request.
const SUBMITTED: usize = 1_000;
/// Builds that say why they stand where they stand.
const EXPLAINED: usize = 1_000;
/// Agents.
const AGENTS: u64 = 100;
/// What an agent takes at once.
const PARALLEL: u32 = 100;

fn main() -> ExitCode {
    run("core", async || measure())
}

/// The processor time of this thread.
fn clock() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

fn measure() -> anyhow::Result<()> {
    let copies = u32::try_from(number("copies", 14)?)?;
    let layers = u32::try_from(number("layers", 0)?)?;
    let graph = if layers > 0 {
        Layers {
            nodes: layers,
            width: 1_000,
            degree: 22,
            seed: 1,
        }
        .draw()
    } else {
        Graph::guix()
    };
    // Valgrind counts instructions, and knows of no thread's time.
    let timer = if number("untimed", 0)? > 0 {
        || Duration::ZERO
    } else {
        clock
    };
    let mut farm = Farm::new(Copies::new(graph, copies), timer);
    farm.ingest()?;
    farm.explain(timer)?;
    farm.drain()
}

struct Farm {
    shell: Shell,
    agents: Vec<Agent>,
}

struct Agent {
    id: AgentId,
    revision: u64,
    holds: Vec<(AttemptId, Digest)>,
}

impl Farm {
    fn new(copies: Copies, timer: fn() -> Duration) -> Self {
        let mut shell = Shell::new(copies, Config::default(), timer);
        let agents = (1..=AGENTS).map(|number| {
            let id = AgentId(Uuid::from_u128(u128::from(number)));
            let ticket = shell.ticket();
            let change = AgentChange::New(AgentRecord {
                id,
                name: format!("agent-{number}"),
                tags: Tags::new(),
                passwords: Vec::new(),
                paused: false,
                created_at: Timestamp(0),
            });
            shell.hand_in(Input::Agent {
                ticket,
                agent: id,
                change,
            });
            Agent {
                id,
                revision: 0,
                holds: Vec::new(),
            }
        });
        let agents = agents.collect();
        shell.settle();
        Self { shell, agents }
    }

    /// All derivations become known, and are asked for.
    fn ingest(&mut self) -> anyhow::Result<()> {
        let copies = self.shell.copies().clone();
        let count = copies.len();
        let before = resident_mib(std::process::id()).context("this process runs")?;
        self.shell.spent();
        let all: Vec<_> = copies.all().collect();
        for part in all.chunks(STORED) {
            let records = part
                .iter()
                .map(|(copy, node)| Record::Derivation(copies.record(*copy, *node)));
            let records = records.collect();
            let ticket = self.shell.ticket();
            self.shell.hand_in(Input::Store { ticket, records });
            self.shell.settle();
        }
        for part in all.chunks(SUBMITTED) {
            let builds = part.iter().map(|(copy, node)| spec(*copy, *node)).collect();
            let ticket = self.shell.ticket();
            self.shell.hand_in(Input::Submit { ticket, builds });
            let replies = self.shell.settle();
            let accepted = |reply: &Reply| matches!(reply, Reply::Submitted(results) if results.iter().all(Result::is_ok));
            ensure!(
                replies.iter().all(|(_, reply)| accepted(reply)),
                "a build was refused"
            );
        }
        let spent = self.shell.spent();
        let after = resident_mib(std::process::id()).context("this process runs")?;
        line(&format!("  {count} derivations stored and submitted"));
        tell(&spent, count);
        beside(
            "memory that the core took for them, MiB",
            after - before,
            "MiB",
        );
        beside(
            "memory for each, bytes",
            (after - before) * 1048576.0 / count as f64,
            "B",
        );
        let unfinished = self.shell.core().counts();
        line(&format!("  {unfinished:?}"));
        Ok(())
    }

    /// Agents take what they can; then some builds of all say why they stand where they stand.
    fn explain(&mut self, timer: fn() -> Duration) -> anyhow::Result<()> {
        for at in 0..self.agents.len() {
            self.ask(at)?;
        }
        let copies = self.shell.copies().clone();
        let all: Vec<_> = copies.all().collect();
        let core = self.shell.core();
        let asked = all.iter().step_by((all.len() / EXPLAINED).max(1));
        let mut took = Vec::new();
        for (copy, node) in asked {
            let begun = timer();
            let why = core.why(Copies::build(*copy, *node));
            took.push(timer() - begun);
            ensure!(why != Why::NotUnfinished, "nothing has ended yet");
        }
        took.sort_unstable();
        let at = |hundredths: usize| took[(took.len() * hundredths / 100).min(took.len() - 1)];
        line(&format!(
            "  why, {} times: p50 {:.3} ms, p99 {:.3} ms, the longest {:.3} ms",
            took.len(),
            at(50).as_secs_f64() * 1e3,
            at(99).as_secs_f64() * 1e3,
            at(100).as_secs_f64() * 1e3,
        ));
        Ok(())
    }

    /// Agents build all there is.
    fn drain(&mut self) -> anyhow::Result<()> {
        let counts = self.shell.core().counts();
        let count = usize::try_from(counts.blocked + counts.ready)?;
        let begun = Instant::now();
        self.shell.spent();
        while self.shell.core().counts() != StateCounts::default() {
            for at in 0..self.agents.len() {
                self.report(at)?;
                self.ask(at)?;
            }
            self.shell.pass(Duration::from_millis(1));
        }
        let spent = self.shell.spent();
        line(&format!(
            "  {count} builds drained, in {:.1} s with all around it",
            begun.elapsed().as_secs_f64()
        ));
        tell(&spent, count);
        figure(
            "drained",
            count as f64 / spent.sum.as_secs_f64(),
            "builds/s",
            Goal::Above(400_000.0),
        );
        figure(
            "the longest call",
            spent.longest.as_secs_f64() * 1e3,
            "ms",
            Goal::Below(5.0),
        );
        Ok(())
    }

    fn report(&mut self, at: usize) -> anyhow::Result<()> {
        let agent = self.agents[at].id;
        for (attempt, derivation) in std::mem::take(&mut self.agents[at].holds) {
            let outputs = self.shell.built(derivation);
            let ticket = self.shell.ticket();
            let report = Report::Succeeded {
                outputs,
                log: None,
                usage: grange_model::Usage::default(),
            };
            self.shell.hand_in(Input::Report {
                ticket,
                agent,
                attempt,
                report,
            });
        }
        for (_, reply) in self.shell.settle() {
            match reply {
                Reply::Done => {}
                // Another derivation that makes the same fixed output was faster.
                Reply::Denied(denied) if denied.why == DeniedWhy::Conflict => {}
                reply => bail!("{reply:?}"),
            }
        }
        Ok(())
    }

    fn ask(&mut self, at: usize) -> anyhow::Result<()> {
        let ticket = self.shell.ticket();
        let agent = &mut self.agents[at];
        agent.revision += 1;
        let exchange = Exchange {
            agent: agent.id,
            session: SessionId(Uuid::from_u128(1)),
            revision: agent.revision,
            capacity: Capacity {
                systems: ["x86_64-linux", "i686-linux", "armhf-linux"]
                    .map(str::to_owned)
                    .to_vec(),
                tags: Tags::new(),
                exclusive: Vec::new(),
                parallel: PARALLEL,
                ahead: 0,
                resources: grange_model::Resources::new(),
                admission: grange_coordinator_core::Admission::default(),
                speed: 0,
            },
            health: grange_coordinator_core::Health::default(),
            attempts: agent
                .holds
                .iter()
                .map(|(attempt, _)| (*attempt, AttemptPhase::Building))
                .collect(),
            wait_ms: 0,
        };
        self.shell.hand_in(Input::Exchange { ticket, exchange });
        for (_, reply) in self.shell.settle() {
            let Reply::Exchange(reply) = reply else {
                bail!("{reply:?}")
            };
            let assigned = reply.assign.iter();
            let assigned = assigned.map(|it| (it.attempt, it.derivation.digest));
            self.agents[at].holds.extend(assigned);
        }
        Ok(())
    }
}

fn tell(spent: &Spent, count: usize) {
    let count = count as f64;
    line(&format!(
        "  {:.3} s in the core, {:.3} us for each; {} calls, the longest {:.3} ms; {} commits of {:.1} changes and facts for each",
        spent.sum.as_secs_f64(),
        spent.sum.as_secs_f64() * 1e6 / count,
        spent.calls,
        spent.longest.as_secs_f64() * 1e3,
        spent.commits,
        spent.changes as f64 / count,
    ));
}

fn spec(copy: u32, node: u32) -> BuildSpec {
    BuildSpec {
        id: Copies::build(copy, node),
        derivation: Copies::digest(copy, node),
        priority: 0,
        tags: Tags::new(),
        requires: Tags::new(),
        limits: Limits {
            timeout_ms: 3_600_000,
            max_silent_ms: 600_000,
        },
        again: false,
        inputs: true,
        cause: None,
        resources: grange_model::Resources::new(),
    }
}
