//! From facts, and what is known of them, to lines.

use std::collections::{BTreeMap, HashMap};

use grange_coordinator_core::AgentStatus;
use grange_interfaces::Refusal;
use grange_model::{
    AttemptSummary, BuildId, BuildRecord, DerivationRecord, Digest, Fact, FinishedBuild, Key,
    NumberedFact, Record,
};
use grange_recording::{
    Agent, Attempt, AttemptName, Derivation, DerivationName, Ended, Ending, Event, Submitted,
};

use crate::convert::store_refusal;
use crate::handle::Handle;
use crate::shared::Shared;

/// What is known of what a page of facts is about.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Unfinished builds that were submitted.
    live: BTreeMap<BuildId, BuildRecord>,
    finished: HashMap<BuildId, FinishedBuild>,
    derivations: HashMap<Digest, DerivationRecord>,
}

impl Known {
    pub(super) async fn look_up(
        shared: &Shared,
        handle: &Handle,
        facts: &[NumberedFact],
    ) -> Result<Self, Refusal> {
        let submitted = facts.iter().filter_map(|fact| match &fact.fact {
            Fact::Submitted { build, .. } => Some(*build),
            _ => None,
        });
        let submitted: Vec<BuildId> = submitted.collect();
        let mut known = Self::default();
        if !submitted.is_empty() {
            let ids = submitted.clone();
            let look = handle.observe(move |core| {
                let live = ids.into_iter().filter_map(|id| core.build(id));
                live.map(|build| (build.record.spec.id, build.record))
                    .collect()
            });
            known.live = look.await?;
            if known.live.len() < submitted.len() {
                // What has just ended is in the history then.
                handle.settled().await?;
            }
        }
        let ended = submitted
            .into_iter()
            .filter(|build| !known.live.contains_key(build));
        let mut keys: Vec<Key> = ended.map(Key::Finished).collect();
        for fact in facts {
            match &fact.fact {
                Fact::Submitted { derivation, .. } => keys.push(Key::Derivation(*derivation)),
                Fact::Ended { build, .. } => keys.push(Key::Finished(*build)),
                _ => {}
            }
        }
        keys.sort_unstable();
        keys.dedup();
        let found = shared.datastore.get(&keys).await;
        for record in found.map_err(store_refusal)?.into_iter().flatten() {
            match record {
                Record::Finished(build) => {
                    known.finished.insert(build.build.spec.id, build);
                }
                Record::Derivation(derivation) => {
                    known.derivations.insert(derivation.item.digest, derivation);
                }
                _ => {}
            }
        }
        Ok(known)
    }

    /// What is recorded of a fact; of most of them nothing.
    pub(super) fn event(&self, fact: &Fact) -> Option<Event> {
        match fact {
            Fact::Submitted {
                build,
                derivation,
                implicit,
            } => {
                let finished = self.finished.get(build).map(|finished| &finished.build);
                let spec = self.live.get(build).or(finished).map(|build| &build.spec);
                Some(Event::Submitted(Box::new(Submitted {
                    build: *build,
                    derivation: node(self.derivations.get(derivation)?),
                    implicit: *implicit,
                    priority: spec.map_or(0, |spec| spec.priority),
                    tags: spec.map(|spec| spec.tags.clone()).unwrap_or_default(),
                    requires: spec.map(|spec| spec.requires.clone()).unwrap_or_default(),
                })))
            }
            Fact::Ended { build, state, .. } => {
                let finished = self.finished.get(build).into_iter();
                let attempts = finished.flat_map(|build| &build.attempts).map(attempt);
                Some(Event::Ended(Ended {
                    build: *build,
                    state: *state,
                    attempts: attempts.collect(),
                }))
            }
            _ => None,
        }
    }
}

/// What an agent offers; none if it has not said that yet.
pub(super) fn agent(agent: AgentStatus) -> Option<Agent> {
    let capacity = agent.capacity;
    let mut tags = capacity.tags;
    tags.extend(agent.record.tags);
    (!capacity.systems.is_empty()).then_some(Agent {
        id: agent.record.id,
        name: agent.record.name,
        systems: capacity.systems,
        tags,
        parallel: capacity.parallel,
        ahead: capacity.ahead,
    })
}

fn node(record: &DerivationRecord) -> Derivation {
    let name = &record.item.name;
    let inputs = record.inputs.iter();
    let mut inputs: Vec<_> = inputs
        .map(|input| DerivationName(input.derivation))
        .collect();
    // They are sorted.
    inputs.dedup();
    Derivation {
        id: DerivationName(record.item.digest),
        name: name.strip_suffix(".drv").unwrap_or(name).to_owned(),
        system: record.system.clone(),
        outputs: record.outputs.iter().map(|it| it.name.clone()).collect(),
        inputs,
    }
}

fn attempt(summary: &AttemptSummary) -> Attempt {
    Attempt {
        id: AttemptName(summary.id),
        agent: summary.agent,
        assigned: summary.assigned_at,
        ended: summary.ended_at,
        how: Ending::from(&summary.outcome),
    }
}
