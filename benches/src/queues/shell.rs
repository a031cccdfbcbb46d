//! Grange's core, with a shell around it that makes commits durable at once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use grange_coordinator_core::{AgentChange, Capacity, Config, Exchange, Input, Reply, Report};
use grange_model::{
    AgentId, AgentRecord, AttemptId, BuildSpec, Digest, Limits, Record, SessionId, Tags, Timestamp,
};
use grange_replay::{Copies, Shell};
use uuid::Uuid;

use crate::queues::builds::{AGENTS, Builds, SYSTEMS};
use crate::queues::turns::Way;

/// Derivations in a message, and builds in a request.
const MESSAGE: usize = 1_000;

/// Grange's core. What it took is that of whole calls: a report or an exchange, commits, and what is put off because of them.
#[derive(Debug)]
pub struct CoreWay<'a> {
    builds: &'a Builds,
    shell: Shell,
    agents: Vec<Agent>,
}

#[derive(Debug)]
struct Agent {
    id: AgentId,
    capacity: Capacity,
    revision: u64,
    holds: Option<(AttemptId, Digest)>,
}

impl<'a> CoreWay<'a> {
    /// All become known, and are submitted.
    ///
    /// # Errors
    ///
    /// A build is refused.
    pub fn new(builds: &'a Builds) -> anyhow::Result<Self> {
        let mut shell = Shell::new(builds.copies().clone(), Config::default(), || {
            Duration::ZERO
        });
        let agents = (0..AGENTS).map(|number| Agent::join(&mut shell, number));
        let agents = agents.collect();
        shell.settle();
        let mut way = Self {
            builds,
            shell,
            agents,
        };
        way.submit()?;
        Ok(way)
    }

    fn submit(&mut self) -> anyhow::Result<()> {
        let all: Vec<u32> = self.builds.all().collect();
        for part in all.chunks(MESSAGE) {
            let record = |build: &u32| {
                let (copy, node) = self.builds.place(*build);
                Record::Derivation(self.builds.copies().record(copy, node))
            };
            let records = part.iter().map(record).collect();
            let ticket = self.shell.ticket();
            self.shell.hand_in(Input::Store { ticket, records });
            self.shell.settle();
        }
        for part in all.chunks(MESSAGE) {
            let builds = part.iter().map(|build| spec(self.builds, *build));
            let builds = builds.collect();
            let ticket = self.shell.ticket();
            self.shell.hand_in(Input::Submit { ticket, builds });
            let accepted = |reply: &Reply| matches!(reply, Reply::Submitted(results) if results.iter().all(Result::is_ok));
            let replies = self.shell.settle();
            ensure!(
                replies.iter().all(|(_, reply)| accepted(reply)),
                "a build was refused"
            );
        }
        Ok(())
    }
}

impl Way for CoreWay<'_> {
    fn finish(&mut self, agent: usize, build: u32) -> anyhow::Result<Duration> {
        let holds = self.agents[agent].holds.take();
        let (attempt, derivation) = holds.context("it holds what it finishes")?;
        let (copy, node) = self.builds.place(build);
        ensure!(
            derivation == Copies::digest(copy, node),
            "an agent holds something else"
        );
        let outputs = self.shell.built(derivation);
        let begun = Instant::now();
        let ticket = self.shell.ticket();
        self.shell.hand_in(Input::Report {
            ticket,
            agent: self.agents[agent].id,
            attempt,
            report: Report::Succeeded {
                outputs,
                log: None,
                usage: grange_model::Usage::default(),
            },
        });
        let replies = self.shell.settle();
        let took = begun.elapsed();
        ensure!(
            matches!(replies[..], [(_, Reply::Done)]),
            "a report was answered with {replies:?}"
        );
        Ok(took)
    }

    fn ask(&mut self, agent: usize) -> anyhow::Result<(Option<u32>, Duration)> {
        let agent = &mut self.agents[agent];
        agent.revision += 1;
        let exchange = Exchange {
            agent: agent.id,
            session: SessionId(Uuid::from_u128(1)),
            revision: agent.revision,
            capacity: agent.capacity.clone(),
            health: grange_coordinator_core::Health::default(),
            attempts: Vec::new(),
            wait_ms: 0,
        };
        let begun = Instant::now();
        let ticket = self.shell.ticket();
        self.shell.hand_in(Input::Exchange { ticket, exchange });
        let mut replies = self.shell.settle();
        // Timers too: leases and all else that is due as time passes.
        self.shell.pass(Duration::from_millis(1));
        let took = begun.elapsed();
        let Some((_, Reply::Exchange(reply))) = replies.pop() else {
            bail!("an exchange was not answered with one");
        };
        let Some(assigned) = reply.assign.first() else {
            return Ok((None, took));
        };
        let derivation = assigned.derivation.digest;
        agent.holds = Some((assigned.attempt, derivation));
        let (copy, node) = self
            .builds
            .copies()
            .locate(derivation)
            .context("what was not asked for is assigned")?;
        Ok((Some(self.builds.at(copy, node)), took))
    }
}

impl Agent {
    fn join(shell: &mut Shell, number: usize) -> Self {
        let id = AgentId(Uuid::from_u128(number as u128 + 1));
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
        Self {
            id,
            capacity: Capacity {
                systems: vec![SYSTEMS[number % SYSTEMS.len()].to_owned()],
                tags: Tags::new(),
                exclusive: Vec::new(),
                parallel: 1,
                ahead: 0,
                resources: grange_model::Resources::new(),
                admission: grange_coordinator_core::Admission::default(),
                speed: 0,
            },
            revision: 0,
            holds: None,
        }
    }
}

fn spec(builds: &Builds, build: u32) -> BuildSpec {
    let (copy, node) = builds.place(build);
    BuildSpec {
        id: Copies::build(copy, node),
        derivation: Copies::digest(copy, node),
        priority: builds.priority(build),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queues::plain::Plain;
    use crate::queues::turns::Turns;

    #[test]
    fn the_core_decides_as_the_plainest_queue_does() {
        let builds = Builds::new(2_000);
        let mut plain = Plain::new(&builds);
        let mut core = CoreWay::new(&builds).unwrap();
        let expected = Turns::new().take(&mut plain, 3_000, Duration::MAX).unwrap();
        let sampled = Turns::new().take(&mut core, 3_000, Duration::MAX).unwrap();
        assert_eq!(sampled.given, expected.given);
    }
}
