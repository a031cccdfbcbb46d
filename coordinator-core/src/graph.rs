//! Derivations with unfinished builds, the outputs that these make and need, and what changes
//! between them.

use grange_model::{DerivationRecord, Digest, Fact};
use smallvec::SmallVec;

use crate::few::Few;
use crate::kind::odd_names;
use crate::machine::Core;
use crate::priority::Levels;
use crate::remaining::Standing;
use crate::slab::Ix;
use crate::tables::{
    Build, Derivation, Inputs, Lost, Odd, Output, Presence, Status, TaskState, Uses,
};
use crate::users::Users;
use crate::work::Work;

/// The rows of what a derivation makes and needs, in the order of its record.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) outputs: SmallVec<[Ix<Output>; 2]>,
    pub(crate) inputs: Vec<Ix<Output>>,
}

impl Core {
    /// What is known of an output, if an unfinished build makes or needs it.
    pub(crate) fn node(&self, digest: Digest) -> Option<&Output> {
        let ix = self.find_output(digest)?;
        Some(&self.outputs[ix])
    }

    /// What a build is of.
    pub(crate) fn derivation_of(&self, build: &Build) -> &Derivation {
        &self.derivations[self.tasks[build.task].derivation]
    }

    pub(crate) fn output(&mut self, digest: Digest) -> Ix<Output> {
        if let Some(ix) = self.find_output(digest) {
            return ix;
        }
        let ix = self.outputs.insert(Output {
            digest,
            presence: Presence::Unknown,
            maker: None,
            ambiguous: false,
            producers: Few::None,
            users: Users::default(),
            priorities: Levels::default(),
            odd: None,
        });
        self.names.outputs.insert(ix, &self.outputs);
        ix
    }

    /// The rows of what a derivation makes and needs.
    pub(crate) fn nodes(&mut self, record: &DerivationRecord) -> Nodes {
        let outputs = record.outputs.iter();
        let outputs = outputs.map(|output| self.output(output.item.digest));
        Nodes {
            outputs: outputs.collect(),
            inputs: record
                .inputs
                .iter()
                .map(|input| self.output(input.output))
                .collect(),
        }
    }

    /// A derivation that gets its first unfinished build, which the caller makes at once;
    /// [`attach_inputs`](Self::attach_inputs) follows.
    pub(crate) fn insert_derivation(
        &mut self,
        record: &DerivationRecord,
        nodes: Nodes,
    ) -> Ix<Derivation> {
        let Nodes {
            outputs,
            mut inputs,
        } = nodes;
        for output in &outputs {
            self.name_maker(*output, record.item.digest);
        }
        let mut named = Vec::new();
        for (output, input) in inputs.iter().zip(&record.inputs) {
            if !self.name_maker(*output, input.derivation) {
                named.push((*output, input.derivation));
            }
        }
        if !named.is_empty() {
            // Where one name is another than usual, all are kept.
            for (output, input) in inputs.iter().zip(&record.inputs) {
                let name = (*output, input.derivation);
                if named.iter().any(|(other, _)| other == output) && !named.contains(&name) {
                    named.push(name);
                }
            }
        }
        inputs.sort_unstable();
        inputs.dedup();
        let names = odd_names(record);
        let odd = (!names.is_empty() || !named.is_empty()).then(|| {
            Box::new(Odd {
                names,
                named: named.into_boxed_slice(),
                failed: None,
            })
        });
        let expected_ms = self.expected_ms(&record.item.name, &record.system);
        let ix = self.derivations.insert(Derivation {
            item: record.item.clone(),
            kind: self.kinds.join(record),
            outputs,
            inputs: inputs.into_boxed_slice(),
            tasks: Few::None,
            own: Levels::default(),
            announced: i32::MIN,
            announcing: false,
            complete: false,
            rechecking: false,
            standing: Standing::default(),
            expected_ms,
            remaining_ms: expected_ms,
            odd,
        });
        self.names.derivations.insert(ix, &self.derivations);
        ix
    }

    /// From now on a new derivation needs its inputs.
    pub(crate) fn attach_inputs(&mut self, ix: Ix<Derivation>) {
        let generation = self.derivations.generation(ix);
        let announced = self.derived(ix);
        self.derivations[ix].announced = announced;
        for at in 0..self.derivations[ix].inputs.len() {
            let input = self.derivations[ix].inputs[at];
            let output = &mut self.outputs[input];
            output.users.push(ix, generation);
            let status = output.status();
            self.derivations.hot_mut(ix).count(status, 1);
            self.outputs.hot_mut(input).live += 1;
            self.change_levels(input, None, Some(announced));
        }
        self.edges += self.derivations[ix].inputs.len();
        self.join_lines(ix);
    }

    /// The tasks of a derivation count among what there is to do.
    pub(crate) fn join_lines(&mut self, ix: Ix<Derivation>) {
        for task in self.derivations[ix].tasks.clone() {
            self.join_line(task);
        }
        self.suspect(ix);
    }

    /// From now on a new derivation's builds may bring its outputs.
    pub(crate) fn expect_outputs(&mut self, ix: Ix<Derivation>) {
        for output in self.derivations[ix].outputs.clone() {
            self.change_output(output, |node| {
                node.producers.push(ix);
                node.set_lost(None);
            });
            self.recent.not_lost(self.outputs[output].digest);
        }
    }

    /// A derivation whose last build has ended.
    pub(crate) fn drop_derivation(&mut self, ix: Ix<Derivation>, lost: Option<&Lost>) {
        for output in self.derivations[ix].outputs.clone() {
            self.change_output(output, |node| {
                node.remove_maker(ix);
                if node.status() == Status::Untried {
                    node.presence = Presence::Absent;
                    node.set_lost(lost.cloned());
                }
            });
            let node = &self.outputs[output];
            if node.status() == Status::Lost
                && let Some(lost) = lost
            {
                let digest = node.digest;
                self.ledger.fact(Fact::Lost { output: digest });
                self.recent
                    .output_lost(self.ledger.upcoming(), digest, lost.clone());
            }
        }
        let Some(derivation) = self.discard_derivation(ix) else {
            return;
        };
        self.edges += derivation.inputs.len();
        for input in derivation.inputs {
            let uses = self.outputs.hot_mut(input);
            uses.live -= 1;
            uses.stale += 1;
            if uses.available && uses.live > 0 && !uses.is_crowded() {
                continue;
            }
            self.change_levels(input, Some(derivation.announced), None);
            self.suspect_producers(input);
            if self.outputs.hot(input).live == 0 {
                for producer in self.outputs[input].producers.clone() {
                    self.maybe_unwanted(producer);
                }
            }
            self.forget_stale_users(input);
            self.drop_output_if_unused(input);
        }
        for output in derivation.outputs {
            self.drop_output_if_unused(output);
        }
    }

    /// Takes a derivation out of the tables. What it makes and needs has not heard of it, or no more.
    pub(crate) fn discard_derivation(&mut self, ix: Ix<Derivation>) -> Option<Derivation> {
        let derivation = self.derivations.remove(ix)?;
        self.names.derivations.remove(derivation.item.digest, ix);
        self.kinds.leave(&derivation.kind);
        Some(derivation)
    }

    /// Puts off looking whether the derivation's implicit builds are needed.
    pub(crate) fn maybe_unwanted(&mut self, derivation: Ix<Derivation>) {
        let generation = self.derivations.generation(derivation);
        self.work.push_back(Work::Unwanted {
            derivation,
            generation,
        });
    }

    /// An output can be fetched from now on.
    pub(crate) fn output_is_available(&mut self, ix: Ix<Output>, presence: Presence) {
        self.change_output(ix, |node| {
            node.presence = presence;
            node.set_lost(None);
        });
    }

    /// Changes an output; its users hear of it, if it makes a difference.
    pub(crate) fn change_output(&mut self, ix: Ix<Output>, change: impl FnOnce(&mut Output)) {
        let node = &mut self.outputs[ix];
        let (old, was) = (node.status(), node.presence.is_available());
        change(node);
        let (new, is) = (node.status(), node.presence.is_available());
        if old != new {
            self.tell_users(ix, old, new);
        }
        if was != is {
            self.outputs.hot_mut(ix).available = is;
            self.outputs[ix].priorities = if is {
                Levels::default()
            } else {
                self.levels_of_users(ix)
            };
            for producer in self.outputs[ix].producers.clone() {
                self.priority_changed(producer);
            }
            self.suspect_producers(ix);
        }
    }

    /// What follows for a derivation of a change of one of its inputs that it has counted.
    pub(crate) fn input_changed(&mut self, user: Ix<Derivation>, new: Status) {
        for task in self.derivations[user].tasks.clone() {
            let state = self.tasks[task].state();
            match new {
                _ if state == TaskState::Running => {}
                Status::Expected => self.set_state(task, TaskState::Blocked),
                Status::Lost => self.evaluate(task),
                Status::Available | Status::Untried => {
                    // What was missing may be there now: who failed for it may try again.
                    self.tasks[task].forgive();
                    self.set_state(task, TaskState::Blocked);
                    self.evaluate(task);
                }
            }
        }
    }

    pub(crate) fn drop_output_if_unused(&mut self, ix: Ix<Output>) {
        let uses = self.outputs.hot(ix);
        if uses.live > 0 || uses.pending > 0 {
            return;
        }
        let Some(node) = self.outputs.get(ix) else {
            return;
        };
        if node.makers().next().is_none() {
            let digest = node.digest;
            self.ambiguous -= usize::from(node.ambiguous);
            self.names.outputs.remove(digest, ix);
            self.outputs.remove(ix);
            self.local.forget(ix);
        }
    }

    /// How many derivations with unfinished builds wait for this one, or have its outputs.
    pub(crate) fn users_of(&self, ix: Ix<Derivation>) -> u64 {
        let brings = self.derivations[ix].outputs.iter();
        let brings = brings.filter(|output| self.outputs[**output].producers.contains(&ix));
        brings
            .map(|output| u64::from(self.outputs.hot(*output).live))
            .sum()
    }

    /// Its outputs, but for those that it waits for itself.
    pub(crate) fn brings(&self, ix: Ix<Derivation>) -> impl Iterator<Item = &Output> + '_ {
        let nodes = self.derivations[ix].outputs.iter();
        let nodes = nodes.map(|output| &self.outputs[*output]);
        nodes.filter(move |node| node.producers.contains(&ix))
    }

    pub(crate) fn forget_stale_users(&mut self, ix: Ix<Output>) {
        let uses = self.outputs.hot_mut(ix);
        if uses.pending == 0 && uses.is_crowded() {
            uses.stale = 0;
            let derivations = &self.derivations;
            self.outputs[ix].users.forget_stale(derivations);
        }
    }
}

impl Inputs {
    /// One input stands otherwise. Whether the derivation waits for others as it did before, so that nothing
    /// follows from that: it was blocked, or is running, and stays so until the last of them has come.
    pub(crate) fn change(&mut self, old: Status, new: Status) -> bool {
        self.count(old, -1);
        self.count(new, 1);
        let settled = matches!(new, Status::Available | Status::Untried);
        settled && self.expected > 0 && self.lost == 0
    }

    /// One input more or less that stands so.
    pub(crate) fn count(&mut self, status: Status, by: i32) {
        let counter = match status {
            Status::Expected => &mut self.expected,
            Status::Lost => &mut self.lost,
            Status::Untried | Status::Available => return,
        };
        *counter = counter.saturating_add_signed(by);
    }
}

impl Uses {
    /// Whether most of its users are gone.
    pub(crate) fn is_crowded(self) -> bool {
        self.stale > 32 && self.stale > self.live
    }
}

impl Output {
    /// All derivations with unfinished builds that make it.
    pub(crate) fn makers(&self) -> impl Iterator<Item = Ix<Derivation>> + '_ {
        self.producers.iter().chain(self.waiting()).copied()
    }

    pub(crate) fn status(&self) -> Status {
        if self.presence.is_available() {
            Status::Available
        } else if !self.producers.is_empty() {
            Status::Expected
        } else if self.lost().is_some() {
            Status::Lost
        } else {
            Status::Untried
        }
    }

    /// Whether an unfinished build may bring it.
    pub(crate) fn is_expected(&self) -> bool {
        self.status() == Status::Expected
    }
}
