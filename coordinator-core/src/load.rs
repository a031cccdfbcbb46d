//! Starting where an earlier coordinator ended.

use std::collections::BTreeSet;

use grange_model::{
    AttemptRecord, BuildId, DerivationRecord, Digest, FactNumber, Key, Record, Resources, Seq,
    Term, Timestamp,
};

use crate::config::Config;
use crate::history::Entry;
use crate::io::{AttemptPhase, TimerReason};
use crate::machine::Core;
use crate::make::Newcomer;
use crate::share::Lane;
use crate::slab::Ix;
use crate::tables::{Agent, Attempt, Build, Derivation, Output, Presence, Status, TaskState};
use crate::work::Work;

/// What the Datastore said when it was claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// This coordinator's term.
    pub term: Term,
    /// The last commit that was written.
    pub seq: Seq,
    /// The last fact that was written.
    pub fact: FactNumber,
    /// Where names for implicit builds come from.
    pub seed: u64,
}

/// A core that takes over live records as they come from the Datastore, in any order. It keeps what it needs of each, and the
/// record itself can go: all of them at once would take more memory than the core does.
#[derive(Debug)]
pub struct Loading {
    core: Core,
    builds: Vec<Waiting>,
    attempts: Vec<AttemptRecord>,
    /// More was heard of what builds take when derivations were there already.
    learned: bool,
}

/// A build that has still to be entered: first those that were submitted first, and only when all are known.
#[derive(Debug)]
struct Waiting {
    derivation: Digest,
    slot: u32,
    row: Newcomer,
}

impl Loading {
    /// A core that has still to be told what is unfinished.
    #[must_use]
    pub fn new(config: Config, start: Start) -> Self {
        let mut core = Core::new(config, start);
        core.groups.starting = true;
        Self {
            core,
            builds: Vec::new(),
            attempts: Vec::new(),
            learned: false,
        }
    }

    /// Takes more of the records.
    pub fn extend(&mut self, records: impl IntoIterator<Item = Record>) {
        let core = &mut self.core;
        for record in records {
            match record {
                Record::Derivation(record) => core.load_derivation(&record),
                Record::Build(record) => {
                    self.builds.push(Waiting {
                        derivation: record.spec.derivation,
                        slot: record.slot,
                        row: core.newcomer(&record),
                    });
                }
                Record::Attempt(attempt) => self.attempts.push(attempt),
                Record::Agent(record) => {
                    let id = record.id;
                    let ix = core.agents.insert(Agent::new(record));
                    core.names.agents.insert(id, ix);
                }
                Record::History(record) => {
                    self.learned |= core.derivations.len() > 0;
                    let entry = Entry::of(&record);
                    core.history.put(&record.package, &record.system, entry);
                }
                // Hooks are the shell's; nothing else is live.
                _ => {}
            }
        }
    }

    /// Outputs of which the core must be told whether they are available: those of builds with an attempt of
    /// their own, and of derivations with several outputs. A shared build of a single output would have
    /// ended if that were available.
    ///
    /// Counter-example: `parts` makes `lib` and `doc`, and `lib` was uploaded. Whoever needs `lib` must not wait for
    /// `parts` after a start, nor end with it if it fails.
    #[must_use]
    pub fn questions(&self) -> Vec<Digest> {
        let again = self.builds.iter().filter(|build| build.row.ask.again);
        let wanted: BTreeSet<_> = again.map(|build| build.derivation).collect();
        let derivations = self.core.derivations.iter().map(|(_, row)| row);
        let asked =
            derivations.filter(|row| row.outputs.len() > 1 || wanted.contains(&row.item.digest));
        asked
            .flat_map(|row| &row.outputs)
            .map(|output| self.core.outputs[*output].digest)
            .collect()
    }

    /// The core, which owns all that is unfinished. `available`: those of [`questions`](Self::questions) that are;
    /// `upstream`: those that only others have.
    /// Leases begin anew: agents that were busy are given time to come back.
    ///
    /// # Errors
    ///
    /// The records do not agree with each other; the message says where.
    pub fn finish(
        self,
        now: Timestamp,
        available: &[Digest],
        upstream: &[Digest],
    ) -> Result<Core, String> {
        let mut core = self.core;
        core.now = now;
        if self.learned {
            core.expect_all();
        }
        let here = available.iter().map(|it| (it, Presence::Available));
        let there = upstream.iter().map(|it| (it, Presence::Upstream));
        for (digest, presence) in here.chain(there) {
            if let Some(output) = core.find_output(*digest) {
                core.change_output(output, |node| node.presence = presence);
            }
        }
        core.load_builds(self.builds)?;
        let unneeded = core.discard_unwanted();
        core.connect();
        for output in unneeded {
            core.drop_output_if_unused(output);
        }
        for attempt in self.attempts {
            core.load_attempt(attempt)?;
        }
        core.attempts.seal();
        let tasks: Vec<_> = core.tasks.iter().map(|(ix, _)| ix).collect();
        for task in tasks {
            if core.tasks[task].state() != TaskState::Running {
                core.evaluate(task);
            }
        }
        core.groups.starting = false;
        Ok(core)
    }
}

impl Core {
    fn load_derivation(&mut self, record: &DerivationRecord) {
        if self.find_derivation(record.item.digest).is_none() {
            let nodes = self.nodes(record);
            self.insert_derivation(record, nodes);
        }
    }

    /// Enters all builds, first those that were submitted first.
    fn load_builds(&mut self, mut builds: Vec<Waiting>) -> Result<(), String> {
        builds.sort_unstable_by_key(|build| (build.row.submitted_at, build.row.id, build.slot));
        let mut names: Vec<(BuildId, Ix<Build>)> = Vec::with_capacity(builds.len());
        for build in builds {
            let (id, slot) = (build.row.id, build.slot);
            let Some(derivation) = self.find_derivation(build.derivation) else {
                return Err(format!("build {id} is of a derivation that is not there"));
            };
            if self.builds.get(Ix::new(slot)).is_some() {
                return Err(format!("there are two builds in row {slot}"));
            }
            let (_, ix) = self.enlist(derivation, build.row, |builds, row| {
                builds.insert_at(slot, row)
            });
            names.push((id, ix));
        }
        self.builds.seal();
        names.sort_unstable();
        if let Some([(id, _), _]) = names.array_windows().find(|[one, other]| one.0 == other.0) {
            return Err(format!("there are two builds {id}"));
        }
        // In order and all at once, they are packed closely.
        self.names.builds = names.into_iter().collect();
        Ok(())
    }

    /// Derivations without builds go; returns the outputs that they make and need.
    fn discard_unwanted(&mut self) -> Vec<Ix<Output>> {
        let unwanted = self
            .derivations
            .iter()
            .filter(|(_, row)| row.tasks.is_empty());
        let unwanted: Vec<_> = unwanted.map(|(ix, _)| ix).collect();
        let gone = unwanted
            .into_iter()
            .filter_map(|ix| self.discard_derivation(ix));
        gone.flat_map(|row| row.outputs.into_iter().chain(row.inputs))
            .collect()
    }

    /// Tells all derivations at once who makes and who needs what.
    fn connect(&mut self) {
        let derivations: Vec<_> = self.derivations.iter().map(|(ix, _)| ix).collect();
        for &derivation in &derivations {
            self.expect_outputs(derivation);
        }
        // Most lie behind what they need. So those that need a derivation come before it, and what it has from them it has at
        // once, and tells its inputs once.
        for &derivation in derivations.iter().rev() {
            self.link_inputs(derivation);
        }
        for output in self.outputs.iter_mut() {
            output.users.reverse();
        }
        for &derivation in &derivations {
            self.join_lines(derivation);
            self.priority_changed(derivation);
        }
        self.break_loaded_cycles();
        // Who is wanted no more is looked at when attempts are there, too: their builds must not have ended
        // before.
        let work = std::mem::take(&mut self.work).into_iter();
        let (unwanted, now) = work.partition(|work| matches!(work, Work::Unwanted { .. }));
        self.work = now;
        while !self.work.is_empty() {
            self.do_work();
        }
        self.work = unwanted;
        for derivation in derivations {
            let mut builds = self.derivations[derivation]
                .tasks
                .iter()
                .flat_map(|task| &self.tasks[*task].builds);
            if builds.any(|build| self.builds[*build].implicit) {
                self.maybe_unwanted(derivation);
            }
        }
    }

    /// A derivation needs its inputs, of which nobody else is told yet.
    fn link_inputs(&mut self, ix: Ix<Derivation>) {
        let generation = self.derivations.generation(ix);
        let announced = self.derived(ix);
        self.derivations[ix].announced = announced;
        for at in 0..self.derivations[ix].inputs.len() {
            let input = self.derivations[ix].inputs[at];
            let output = &mut self.outputs[input];
            output.users.push(ix, generation);
            let status = output.status();
            if status != Status::Available {
                output.priorities.add(announced);
            }
            self.derivations.hot_mut(ix).count(status, 1);
            self.outputs.hot_mut(input).live += 1;
        }
    }

    fn load_attempt(&mut self, record: AttemptRecord) -> Result<(), String> {
        let id = record.id;
        let task = match record.again {
            Some(build) => self
                .names
                .builds
                .get(&build)
                .map(|build| self.builds[*build].task),
            None => self
                .find_derivation(record.derivation)
                .and_then(|derivation| {
                    let tasks = &self.derivations[derivation].tasks;
                    tasks.iter().copied().find(|task| !self.tasks[*task].again)
                }),
        };
        let Some(task) = task else {
            return Err(format!("attempt {id} is of a build that is not there"));
        };
        let Some(&agent) = self.names.agents.get(&record.agent) else {
            // Its agent was deleted in the very moment; whoever deleted it also freed the build.
            self.ledger.remove(Key::Attempt(id.slot));
            return Ok(());
        };
        let phase = AttemptPhase::Preparing;
        let lane = self.lane(task);
        let class = self.tasks[task].classes.first();
        let demand = class.map(|class| &self.classes.table[*class].demand);
        let needs = demand.map_or_else(Resources::new, |demand| demand.of(&self.agents[agent]));
        let attempt = Attempt {
            record,
            task,
            agent,
            phase,
            needs: needs.clone(),
            lane,
            speed: self.agents[agent].speed(),
            expired: false,
        };
        let ix = self.attempts.insert_at(id.slot, attempt);
        self.tasks[task].tries_mut().attempts.push(ix);
        self.set_state(task, TaskState::Running);
        self.agents[agent].attempts.insert(ix);
        self.agents[agent].occupy(&needs);
        if let Lane::Of(group) = lane {
            let began = self.attempts[ix].record.assigned_at;
            let speed = self.attempts[ix].speed;
            self.groups.begin(group, speed, began, self.now);
        }
        let until = self.now.after(self.config.lease);
        self.agents[agent].lease_until = Some(until);
        self.timers.insert((until, TimerReason::Lease, agent.0));
        Ok(())
    }
}
