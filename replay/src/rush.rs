//! Everything is asked for, and built in no time.

use std::time::Duration;

use grange_coordinator_core::{
    AgentChange, AttemptPhase, Capacity, Config, DeniedWhy, Exchange, Health, Input, Reply, Report,
    StateCounts,
};
use grange_model::{
    AgentId, AgentRecord, AttemptId, BuildId, BuildSpec, Digest, Limits, Record, Resources,
    SessionId, Tags, Timestamp, Usage,
};
use uuid::Uuid;

use crate::copies::Copies;
use crate::farm::ReplayError;
use crate::shell::Shell;

/// Derivations in one message, as the shell of a coordinator takes them.
const STORED: usize = 1_000;
/// Builds in one request.
const SUBMITTED: usize = 1_000;
/// What every agent builds for: all of Guix.
const SYSTEMS: [&str; 3] = ["x86_64-linux", "i686-linux", "armhf-linux"];

/// A core with as much to do as there may be, and agents that have built whatever they hold when they ask again: what it takes is
/// the core's alone.
#[derive(Debug)]
pub struct Rush {
    shell: Shell,
    parallel: u32,
    agents: Vec<Agent>,
}

#[derive(Debug)]
struct Agent {
    id: AgentId,
    revision: u64,
    holds: Vec<(AttemptId, Digest)>,
}

impl Rush {
    /// So many agents, each of which takes `parallel` builds at once. Nothing is known or asked for yet; `clock` is that of
    /// [`Shell::new`].
    #[must_use]
    pub fn new(
        copies: Copies,
        config: Config,
        clock: fn() -> Duration,
        agents: u32,
        parallel: u32,
    ) -> Self {
        let mut shell = Shell::new(copies, config, clock);
        let agents = (1..=agents).map(|number| {
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
        Self {
            shell,
            parallel,
            agents,
        }
    }

    /// All derivations become known.
    pub fn store(&mut self) {
        let copies = self.shell.copies().clone();
        let all: Vec<_> = copies.all().collect();
        for part in all.chunks(STORED) {
            let records = part.iter();
            let records =
                records.map(|(copy, node)| Record::Derivation(copies.record(*copy, *node)));
            let records = records.collect();
            let ticket = self.shell.ticket();
            self.shell.hand_in(Input::Store { ticket, records });
            self.shell.settle();
        }
    }

    /// A build of each is asked for, those first that others need.
    ///
    /// # Errors
    ///
    /// The core refuses one.
    pub fn submit(&mut self) -> Result<(), ReplayError> {
        let all: Vec<_> = self.shell.copies().all().collect();
        for part in all.chunks(SUBMITTED) {
            let builds = part.iter();
            let builds = builds.map(|(copy, node)| {
                Self::spec(Copies::build(*copy, *node), Copies::digest(*copy, *node))
            });
            let builds = builds.collect();
            let ticket = self.shell.ticket();
            self.shell.hand_in(Input::Submit { ticket, builds });
            for (_, reply) in self.shell.settle() {
                let Reply::Submitted(results) = reply else {
                    return Err(ReplayError::Refused(format!("{reply:?}")));
                };
                if let Some(denied) = results.into_iter().find_map(Result::err) {
                    return Err(ReplayError::Refused(denied.message));
                }
            }
        }
        Ok(())
    }

    /// Each agent says that it has built what it holds, and takes what it can; a millisecond passes.
    ///
    /// # Errors
    ///
    /// The core refuses that.
    pub fn round(&mut self) -> Result<(), ReplayError> {
        for at in 0..self.agents.len() {
            self.report(at)?;
            self.ask(at)?;
        }
        self.shell.pass(Duration::from_millis(1));
        Ok(())
    }

    /// Rounds, until nothing is left.
    ///
    /// # Errors
    ///
    /// The core refuses something, or gives no agent anything though something is left.
    pub fn drain(&mut self) -> Result<(), ReplayError> {
        while !self.is_done() {
            self.round()?;
            let idle = self.agents.iter().all(|agent| agent.holds.is_empty());
            if idle && !self.is_done() {
                let counts = self.shell.core().counts();
                let unfinished = counts.blocked + counts.ready + counts.running;
                return Err(ReplayError::Stuck { unfinished });
            }
        }
        Ok(())
    }

    /// The core, and what stands around it.
    pub fn shell_mut(&mut self) -> &mut Shell {
        &mut self.shell
    }

    /// The same, to look at.
    #[must_use]
    pub fn shell(&self) -> &Shell {
        &self.shell
    }

    /// Whether no build is unfinished.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.shell.core().counts() == StateCounts::default()
    }

    /// What is asked for: a build with nothing special about it.
    #[must_use]
    pub fn spec(id: BuildId, derivation: Digest) -> BuildSpec {
        BuildSpec {
            id,
            derivation,
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
            resources: Resources::new(),
        }
    }

    fn report(&mut self, at: usize) -> Result<(), ReplayError> {
        let agent = self.agents[at].id;
        for (attempt, derivation) in std::mem::take(&mut self.agents[at].holds) {
            let outputs = self.shell.built(derivation);
            let ticket = self.shell.ticket();
            let report = Report::Succeeded {
                outputs,
                log: None,
                usage: Usage::default(),
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
                reply => return Err(ReplayError::Refused(format!("{reply:?}"))),
            }
        }
        Ok(())
    }

    fn ask(&mut self, at: usize) -> Result<(), ReplayError> {
        let ticket = self.shell.ticket();
        let agent = &mut self.agents[at];
        agent.revision += 1;
        let holds = agent.holds.iter();
        let exchange = Exchange {
            agent: agent.id,
            session: SessionId(Uuid::from_u128(1)),
            revision: agent.revision,
            capacity: Capacity {
                systems: SYSTEMS.map(str::to_owned).to_vec(),
                parallel: self.parallel,
                ..Capacity::default()
            },
            health: Health::default(),
            attempts: holds
                .map(|(attempt, _)| (*attempt, AttemptPhase::Building))
                .collect(),
            wait_ms: 0,
        };
        self.shell.hand_in(Input::Exchange { ticket, exchange });
        for (_, reply) in self.shell.settle() {
            let Reply::Exchange(reply) = reply else {
                return Err(ReplayError::Refused(format!("{reply:?}")));
            };
            let assigned = reply.assign.iter();
            let assigned = assigned.map(|it| (it.attempt, it.derivation.digest));
            self.agents[at].holds.extend(assigned);
        }
        Ok(())
    }
}
