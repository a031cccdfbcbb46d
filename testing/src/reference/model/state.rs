//! What the model keeps, and what happens to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use grange_coordinator_core::{AgentChange, Capacity, Config, DeniedWhy, Input, Ticket};
use grange_model::{
    AgentId, AgentRecord, AttemptId, BuildId, BuildSpec, BuildState, Cause, DerivationRecord,
    Digest, LostReason, NarHash, Record, SessionId, Timestamp,
};

use crate::reference::mismatch::Mismatch;

/// What shares attempts: the builds of a derivation, or one that wants an attempt of its own.
pub(super) type Task = (Digest, Option<BuildId>);

/// The coordinator as plain as possible: sets, and scans over all of them.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) config: Config,
    pub(super) now: Timestamp,
    pub(super) records: BTreeMap<Digest, DerivationRecord>,
    /// Items that lie here.
    pub(in crate::reference) here: BTreeMap<Digest, NarHash>,
    /// Items that others have.
    pub(in crate::reference) upstream: BTreeSet<Digest>,
    pub(in crate::reference) builds: BTreeMap<BuildId, Build>,
    pub(super) tasks: BTreeMap<Task, Trying>,
    pub(in crate::reference) attempts: BTreeMap<AttemptId, Attempt>,
    pub(super) agents: BTreeMap<AgentId, Agent>,
    pub(in crate::reference) finished: BTreeMap<BuildId, End>,
    /// Remembered failures: why, and until when.
    pub(in crate::reference) failures: BTreeMap<Digest, (LostReason, Timestamp)>,
    /// Outputs that will not come, of those that unfinished builds make or need.
    pub(super) lost: BTreeMap<Digest, Lost>,
    /// Derivations of which one task has failed while others go on.
    pub(super) failed: BTreeMap<Digest, Lost>,
    /// Derivations whose untried inputs got implicit builds.
    pub(super) complete: BTreeSet<Digest>,
    /// Derivations of which a core that was begun anew may not know which inputs are there, so that it hears of them later, and
    /// ends back-offs earlier.
    pub(super) vague: BTreeSet<Digest>,
    /// How outputs stood when their users last heard of them.
    pub(super) heard: BTreeMap<Digest, Status>,
    /// How far the hook is.
    pub(in crate::reference) cursor: u64,
    /// What was seen of the core in this step.
    pub(super) told: Told,
    pub(in crate::reference) step: Step,
}

/// What the model cannot know: names that the core mints, and who got what.
#[derive(Clone, Debug, Default)]
pub(in crate::reference) struct Told {
    /// Names of implicit builds.
    pub(in crate::reference) minted: BTreeMap<Digest, VecDeque<BuildId>>,
    /// Attempts that were given to agents, with the builds that they may end.
    pub(in crate::reference) started: VecDeque<(AttemptId, AgentId, Vec<BuildId>)>,
}

/// What came of this step.
#[derive(Clone, Debug, Default)]
pub(in crate::reference) struct Step {
    pub(in crate::reference) answers: BTreeMap<Ticket, Answer>,
    /// Outputs that became available.
    pub(in crate::reference) arrived: BTreeSet<Digest>,
    /// Builds that ended.
    pub(in crate::reference) ended: BTreeSet<BuildId>,
    /// Outputs that were given up, and why, by each that did.
    pub(super) given_up: BTreeMap<Digest, Lost>,
}

/// An answer, as far as it is foretold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reference) enum Answer {
    Done,
    Denied(DeniedWhy),
    Submitted(Vec<Result<BuildState, DeniedWhy>>),
    Canceled(Vec<Option<BuildState>>),
    Pruned(Vec<Digest>),
    Exchange {
        assign: BTreeSet<AttemptId>,
        drop: BTreeSet<AttemptId>,
    },
}

/// How an output stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reference) enum Status {
    Untried,
    Expected,
    Lost,
    Available,
}

/// Why an output will not come. What depends on the order in which things were heard of is a set of all that may be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::reference) struct Lost {
    pub(in crate::reference) makers: BTreeSet<Digest>,
    pub(in crate::reference) reasons: BTreeSet<LostReason>,
    pub(in crate::reference) roots: BTreeSet<Digest>,
}

impl Lost {
    pub(super) fn by(maker: Digest, reason: LostReason) -> Self {
        Self {
            makers: BTreeSet::from([maker]),
            reasons: BTreeSet::from([reason]),
            roots: BTreeSet::from([maker]),
        }
    }

    pub(super) fn or(&mut self, other: &Self) {
        self.makers.extend(&other.makers);
        self.reasons.extend(&other.reasons);
        self.roots.extend(&other.roots);
    }
}

/// An unfinished build.
#[derive(Clone, Debug)]
pub(in crate::reference) struct Build {
    pub(in crate::reference) spec: BuildSpec,
    pub(in crate::reference) implicit: bool,
    pub(in crate::reference) rebuild: bool,
    pub(in crate::reference) submitted_at: Timestamp,
}

/// What is known of a task beside its builds.
#[derive(Clone, Debug)]
pub(super) struct Trying {
    pub(super) age: Timestamp,
    /// Agents that had a setup failure: how often, and until when they get no attempt.
    pub(super) avoided: BTreeMap<AgentId, (u32, Timestamp)>,
}

#[derive(Clone, Debug)]
pub(in crate::reference) struct Attempt {
    pub(super) task: Task,
    pub(in crate::reference) agent: AgentId,
    pub(super) expired: bool,
    pub(super) uploading: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) record: AgentRecord,
    pub(super) capacity: Capacity,
    pub(super) session: Option<SessionId>,
    pub(super) revision: u64,
    pub(super) lease_until: Option<Timestamp>,
    pub(super) wait: Option<Wait>,
}

/// An exchange that waits for something to do.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub(super) ticket: Ticket,
    pub(super) until: Timestamp,
    pub(super) assign: BTreeSet<AttemptId>,
    pub(super) drop: BTreeSet<AttemptId>,
    /// There is something to say.
    pub(super) answer: bool,
}

/// How a build ended.
#[derive(Clone, Debug)]
pub(in crate::reference) struct End {
    pub(in crate::reference) build: Build,
    pub(in crate::reference) state: BuildState,
    /// Why inputs will not come.
    pub(in crate::reference) causes: BTreeMap<Digest, Lost>,
    /// Its outputs: what was made, and whether that is what everybody gets.
    pub(in crate::reference) outputs: Vec<(Digest, NarHash, bool)>,
}

impl Model {
    pub(in crate::reference) fn new(config: Config, records: &[DerivationRecord]) -> Self {
        let records = records.iter();
        Self {
            config,
            now: Timestamp::default(),
            records: records
                .map(|record| (record.item.digest, record.clone()))
                .collect(),
            here: BTreeMap::new(),
            upstream: BTreeSet::new(),
            builds: BTreeMap::new(),
            tasks: BTreeMap::new(),
            attempts: BTreeMap::new(),
            agents: BTreeMap::new(),
            finished: BTreeMap::new(),
            failures: BTreeMap::new(),
            lost: BTreeMap::new(),
            failed: BTreeMap::new(),
            complete: BTreeSet::new(),
            vague: BTreeSet::new(),
            heard: BTreeMap::new(),
            cursor: 0,
            told: Told::default(),
            step: Step::default(),
        }
    }

    /// A step begins, of which this was seen.
    pub(in crate::reference) fn begin(&mut self, now: Timestamp, told: Told) {
        self.now = now;
        self.told = told;
        self.step = Step::default();
    }

    /// Takes what the core takes.
    pub(in crate::reference) fn handle(&mut self, input: &Input) -> Result<(), Mismatch> {
        match input {
            Input::Submit { ticket, builds } => {
                let wants = builds.iter().map(|spec| (spec.clone(), false));
                let results = self.request(wants.collect(), None)?;
                self.answer(*ticket, Answer::Submitted(results));
            }
            Input::Cancel { ticket, builds } => {
                let states = builds.iter().map(|build| self.cancel(*build)).collect();
                self.answer(*ticket, Answer::Canceled(states));
            }
            Input::Store { ticket, records } => {
                for record in records {
                    self.store(record);
                }
                self.answer(*ticket, Answer::Done);
            }
            Input::Prune { ticket, outputs } => {
                let needed = outputs.iter().copied().filter(|it| self.is_used(*it));
                let needed: Vec<_> = needed.collect();
                if needed.is_empty() {
                    self.here.retain(|output, _| !outputs.contains(output));
                }
                self.answer(*ticket, Answer::Pruned(needed));
            }
            Input::GoneUpstream { ticket, outputs } => {
                for output in outputs {
                    self.upstream.remove(output);
                }
                self.answer(*ticket, Answer::Done);
            }
            Input::Exchange { ticket, exchange } => self.exchange(*ticket, exchange),
            Input::Report {
                ticket,
                agent,
                attempt,
                report,
            } => {
                let answer = match self.report(*agent, *attempt, report)? {
                    Ok(()) => Answer::Done,
                    Err(why) => Answer::Denied(why),
                };
                self.answer(*ticket, answer);
            }
            Input::Agent {
                ticket,
                agent,
                change,
            } => {
                let there = self.agents.contains_key(agent);
                let known = there || matches!(change, AgentChange::New(_) | AgentChange::Delete);
                self.change_agent(*agent, change);
                let denied = Answer::Denied(DeniedWhy::NotFound);
                self.answer(*ticket, if known { Answer::Done } else { denied });
            }
            Input::Hook {
                ticket,
                record,
                builds,
                reopen,
            } => {
                let asked = builds.iter().map(|spec| (spec.clone(), false));
                let reopened = reopen.iter().map(|end| {
                    let mut spec = end.build.spec.clone();
                    spec.again = false;
                    spec.cause.get_or_insert_with(|| Cause {
                        hook: record.name.clone(),
                        depth: 1,
                    });
                    (spec, true)
                });
                let results = self.request(asked.chain(reopened).collect(), None)?;
                self.cursor = record.cursor.0;
                self.answer(*ticket, Answer::Submitted(results));
            }
            // What is predicted only says how many builds go together.
            Input::ImportHistory { ticket, .. } => self.answer(*ticket, Answer::Done),
            Input::Forget { .. } | Input::Found { .. } | Input::Committed { .. } => {}
        }
        self.settle()
    }

    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.step.answers.insert(ticket, answer);
    }

    fn store(&mut self, record: &Record) {
        match record {
            Record::Item(item) => {
                self.arrived(item.item.digest, Some(item.nar_hash));
            }
            Record::Upstream(item) => {
                self.arrived(item.item.digest, None);
            }
            _ => {}
        }
    }

    /// Something is available from now on, and who else makes it is done.
    pub(super) fn arrived(&mut self, output: Digest, here: Option<NarHash>) {
        match here {
            Some(hash) => {
                self.here.insert(output, hash);
                self.step.arrived.insert(output);
            }
            None => {
                if !self.here.contains_key(&output) {
                    self.step.arrived.insert(output);
                }
                self.upstream.insert(output);
            }
        }
        self.lost.remove(&output);
        let makers: Vec<_> = self.makers(output).collect();
        for maker in makers {
            self.end_superfluous(maker);
        }
    }

    /// The coordinator begins anew, on what is durable.
    pub(in crate::reference) fn restart(&mut self, now: Timestamp) -> Result<(), Mismatch> {
        self.now = now;
        // Nobody is answered any more.
        self.step.answers.clear();
        self.lost.clear();
        self.failed.clear();
        let derivations = self.builds.values();
        self.complete = derivations
            .filter(|build| build.spec.inputs)
            .map(|build| build.spec.derivation)
            .collect();
        let live: BTreeSet<_> = self
            .tasks
            .keys()
            .map(|(derivation, _)| *derivation)
            .collect();
        self.vague = live
            .into_iter()
            .filter(|derivation| {
                let mut inputs = self.inputs(*derivation);
                inputs.any(|input| self.status(input) == Status::Available)
            })
            .collect();
        for (task, trying) in &mut self.tasks {
            trying.avoided.clear();
            let builds = self.builds.iter();
            let own = builds.filter(|(id, build)| {
                build.spec.derivation == task.0 && build.spec.again.then_some(**id) == task.1
            });
            let first = own.map(|(_, build)| build.submitted_at).min();
            trying.age = first.unwrap_or(trying.age);
        }
        let mut busy = BTreeSet::new();
        for attempt in self.attempts.values_mut() {
            attempt.expired = false;
            attempt.uploading = false;
            busy.insert(attempt.agent);
        }
        for (id, agent) in &mut self.agents {
            agent.capacity = Capacity::default();
            agent.session = None;
            agent.revision = 0;
            agent.wait = None;
            let until = now.after(self.config.lease);
            agent.lease_until = busy.contains(id).then_some(until);
        }
        self.heard.clear();
        self.settle()
    }
}
