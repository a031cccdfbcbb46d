//! Starting where an earlier coordinator ended.

use std::collections::BTreeSet;

use grange_model::{
    BuildRecord, DerivationRecord, Digest, FactNumber, HistoryRecord, Key, Record, Resources, Seq,
    Term, Timestamp,
};

use crate::history::Entry;
use crate::io::{AttemptPhase, TimerReason};
use crate::machine::Core;
use crate::share::Lane;
use crate::slab::Ix;
use crate::tables::{Agent, Attempt, Presence, TaskState};
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

/// Live records as they come from the Datastore, in any order.
#[derive(Debug, Default)]
pub struct Loading {
    derivations: Vec<DerivationRecord>,
    builds: Vec<BuildRecord>,
    attempts: Vec<grange_model::AttemptRecord>,
    agents: Vec<grange_model::AgentRecord>,
    history: Vec<HistoryRecord>,
}

impl Loading {
    /// Takes more of them.
    pub fn extend(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            match record {
                Record::Derivation(derivation) => self.derivations.push(derivation),
                Record::Build(build) => self.builds.push(build),
                Record::Attempt(attempt) => self.attempts.push(attempt),
                Record::Agent(agent) => self.agents.push(agent),
                Record::History(history) => self.history.push(history),
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
        let again = self.builds.iter().filter(|build| build.spec.again);
        let wanted: BTreeSet<_> = again.map(|build| build.spec.derivation).collect();
        let derivations = self
            .derivations
            .iter()
            .filter(|record| record.outputs.len() > 1 || wanted.contains(&record.item.digest));
        derivations
            .flat_map(|record| &record.outputs)
            .map(|output| output.item.digest)
            .collect()
    }
}

impl Core {
    /// Takes over what is unfinished. `available`: those of [`Loading::questions`] that are; `upstream`: those that only
    /// others have.
    /// Leases begin anew: agents that were busy are given time to come back.
    ///
    /// # Errors
    ///
    /// The records do not agree with each other; the message says where.
    pub fn load(
        &mut self,
        now: Timestamp,
        mut loading: Loading,
        available: &[Digest],
        upstream: &[Digest],
    ) -> Result<(), String> {
        self.now = now;
        self.groups.starting = true;
        // First: what is predicted of a build follows from it.
        for record in loading.history {
            self.history
                .put(&record.package, &record.system, Entry::of(&record));
        }
        loading
            .builds
            .sort_by_key(|build| (build.submitted_at, build.spec.id));
        let wanted: BTreeSet<_> = loading
            .builds
            .iter()
            .map(|build| build.spec.derivation)
            .collect();
        for record in loading.derivations {
            let digest = record.item.digest;
            if wanted.contains(&digest) && self.find_derivation(digest).is_none() {
                let nodes = self.nodes(&record);
                self.insert_derivation(&record, nodes);
            }
        }
        let here = available.iter().map(|it| (it, Presence::Available));
        let there = upstream.iter().map(|it| (it, Presence::Upstream));
        for (digest, presence) in here.chain(there) {
            if let Some(output) = self.find_output(*digest) {
                self.change_output(output, |node| node.presence = presence);
            }
        }
        for agent in loading.agents {
            let id = agent.id;
            let ix = self.agents.insert(Agent::new(agent));
            self.names.agents.insert(id, ix);
        }
        for build in loading.builds {
            self.load_build(build)?;
        }
        self.builds.seal();
        self.connect();
        for attempt in loading.attempts {
            self.load_attempt(attempt)?;
        }
        self.attempts.seal();
        let tasks: Vec<_> = self.tasks.iter().map(|(ix, _)| ix).collect();
        for task in tasks {
            if self.tasks[task].state != TaskState::Running {
                self.evaluate(task);
            }
        }
        self.groups.starting = false;
        Ok(())
    }

    /// Tells all derivations at once who makes and who needs what.
    fn connect(&mut self) {
        let derivations: Vec<_> = self.derivations.iter().map(|(ix, _)| ix).collect();
        for &derivation in &derivations {
            self.expect_outputs(derivation);
        }
        for &derivation in &derivations {
            self.attach_inputs(derivation);
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

    fn load_build(&mut self, record: BuildRecord) -> Result<(), String> {
        let (id, slot) = (record.spec.id, record.slot);
        let Some(derivation) = self.find_derivation(record.spec.derivation) else {
            return Err(format!("build {id} is of a derivation that is not there"));
        };
        if self.names.builds.contains_key(&id) {
            return Err(format!("there are two builds {id}"));
        }
        if self.builds.get(Ix::new(slot)).is_some() {
            return Err(format!("there are two builds in row {slot}"));
        }
        self.derivations[derivation].complete |= record.spec.inputs;
        self.enlist(derivation, &record, |builds, build| {
            builds.insert_at(slot, build)
        });
        Ok(())
    }

    fn load_attempt(&mut self, record: grange_model::AttemptRecord) -> Result<(), String> {
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
        self.tasks[task].attempts.push(ix);
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
