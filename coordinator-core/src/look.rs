//! What a request must know, and what it has to make.

use grange_model::{DerivationRecord, Digest, FailureRecord, InputRef, Key, LostCause, LostReason};

use crate::graph::Nodes;
use crate::machine::Core;
use crate::request::{Known, Request};
use crate::slab::Ix;
use crate::tables::{Derivation, Lost, Output, Presence, Status};

/// What a look at a derivation came to.
pub(crate) enum Look {
    /// These keys have to be read first.
    Needs(Vec<Key>),
    /// Builds of these are needed first.
    Inputs(Vec<Digest>),
}

impl Core {
    /// Finds out, level by level, what must be read.
    pub(crate) fn look_around(&mut self, request: &mut Request, slice: usize) {
        let mut later = Vec::new();
        let mut asked = std::mem::take(&mut request.asked);
        while self.edges < slice {
            let Some(digest) = request.frontier.pop() else {
                break;
            };
            match self.look_at(request, digest) {
                Look::Needs(keys) => {
                    let known = &mut request.known;
                    asked.extend(keys.into_iter().filter(|key| known.is_news(key)));
                    later.push(digest);
                }
                Look::Inputs(inputs) => {
                    let fresh = inputs
                        .into_iter()
                        .filter(|input| request.seen.insert(*input, ()).is_none());
                    request.frontier.extend(fresh);
                }
            }
        }
        request.frontier.append(&mut later);
        asked.sort_unstable();
        asked.dedup();
        request.asked = asked;
    }

    pub(crate) fn look_at(&mut self, request: &Request, digest: Digest) -> Look {
        self.edges += 1;
        let root = request.roots.get(&digest);
        let again = root.is_some_and(|root| root.again);
        let inputs = root.is_none_or(|root| root.model.is_some());
        let known = &request.known;
        let live = self.find_derivation(digest);
        if let Some(live) = live
            && !again
            && self.is_shared(live)
            && (self.derivations[live].complete || !inputs)
        {
            return Look::Inputs(Vec::new());
        }
        let record = match known.derivations.get(&digest) {
            None => return Look::Needs(vec![Key::Derivation(digest), Key::Failure(digest)]),
            Some(None) => return Look::Inputs(Vec::new()),
            Some(Some(record)) => record,
        };
        self.edges += record.inputs.len();
        let outputs = || record.outputs.iter().map(|output| output.item.digest);
        let mut asked = Vec::new();
        let mut needless = true;
        for output in outputs() {
            let presence = self.presence(known, output);
            needless &= presence.is_available();
            asked.extend((presence == Presence::Unknown).then_some(Key::Item(output)));
        }
        let mut absent = Vec::new();
        for input in &record.inputs {
            let node = self.node(input.output);
            let presence = self.presence_of(known, input.output, node);
            if presence == Presence::Unknown {
                asked.push(Key::Item(input.output));
            } else if !presence.is_available() && !node.is_some_and(Output::is_expected) {
                absent.push(input);
            }
        }
        if !asked.is_empty() {
            return Look::Needs(asked);
        }
        let failed = || self.remembered(known, digest, root.is_none()).is_some();
        if !again && (needless || failed()) {
            return Look::Inputs(Vec::new());
        }
        self.look_at_inputs(request, &absent, inputs)
    }

    /// What is needed of inputs that are neither here nor expected.
    fn look_at_inputs(&self, request: &Request, absent: &[&InputRef], all: bool) -> Look {
        let known = &request.known;
        let mut asked = Vec::new();
        let mut needed = Vec::new();
        for &input in absent {
            let is_root = request.roots.contains_key(&input.derivation);
            if !all && !known.failures.contains_key(&input.derivation) {
                asked.push(Key::Failure(input.derivation));
            }
            let untried = || self.lost_cause(known, input).is_none();
            if is_root || (all && untried()) {
                needed.push(input.derivation);
            }
        }
        needed.dedup();
        if asked.is_empty() {
            Look::Inputs(needed)
        } else {
            Look::Needs(asked)
        }
    }

    /// Whether an unfinished build of the derivation may be shared.
    pub(crate) fn is_shared(&self, derivation: Ix<Derivation>) -> bool {
        let mut tasks = self.derivations[derivation].tasks.iter();
        tasks.any(|task| !self.tasks[*task].again)
    }

    pub(crate) fn presence(&self, known: &Known, output: Digest) -> Presence {
        self.presence_of(known, output, self.node(output))
    }

    /// The same, by who knows the row of the output.
    fn presence_of(&self, known: &Known, output: Digest, node: Option<&Output>) -> Presence {
        if let Some(node) = node
            && node.presence.is_sure()
        {
            return node.presence;
        }
        let recent = self.recent.presence(output);
        if let Some(presence) = recent.filter(|presence| presence.is_sure()) {
            return presence;
        }
        if let Some(node) = node
            && recent.is_none()
            && node.presence == Presence::Unknown
            && node.makers().any(|ix| self.is_shared(ix))
        {
            // Nobody shares a build whose outputs are available: it would have ended.
            return Presence::Absent;
        }
        let elsewhere = recent.is_some() || node.is_some_and(|it| it.presence.is_available());
        match known.available.get(&output) {
            Some(Presence::Absent) if elsewhere => Presence::Upstream,
            Some(presence) => *presence,
            None => Presence::Unknown,
        }
    }

    pub(crate) fn is_available(&self, known: &Known, output: Digest) -> bool {
        self.presence(known, output).is_available()
    }

    /// The failure that ends a build at once, if there is one. A cancellation counts only for those
    /// who need the output, not for who asks for it.
    pub(crate) fn remembered<'a>(
        &'a self,
        known: &'a Known,
        derivation: Digest,
        cancellations: bool,
    ) -> Option<&'a FailureRecord> {
        let read = || known.failures.get(&derivation).and_then(Option::as_deref);
        let failure = self.recent.failure_of(derivation).unwrap_or_else(read)?;
        let counts = cancellations || failure.reason != LostReason::Canceled;
        (counts && failure.expires_at > self.now).then_some(failure)
    }

    /// Why an input will not come, if it will not.
    pub(crate) fn lost_cause(&self, known: &Known, input: &InputRef) -> Option<Lost> {
        self.lost_cause_of(known, input, self.node(input.output))
    }

    /// The same, by who knows the row of the input.
    fn lost_cause_of(
        &self,
        known: &Known,
        input: &InputRef,
        node: Option<&Output>,
    ) -> Option<Lost> {
        let presence = self.presence_of(known, input.output, node);
        if presence.is_available() {
            return None;
        }
        if let Some(node) = node {
            match node.status() {
                Status::Available | Status::Expected => return None,
                Status::Lost => return node.lost().cloned(),
                Status::Untried => {}
            }
        }
        if let Some(lost) = self.recent.lost(input.output) {
            return Some(lost.clone());
        }
        let failure = self.remembered(known, input.derivation, true)?;
        Some(Lost {
            derivation: failure.derivation.clone(),
            reason: failure.reason,
            build: failure.build,
            root: failure.build,
            root_derivation: failure.derivation.clone(),
        })
    }

    /// The inputs that will not come.
    pub(crate) fn lost_causes(&self, known: &Known, record: &DerivationRecord) -> Vec<LostCause> {
        let causes = record.inputs.iter().filter_map(|input| {
            let lost = self.lost_cause(known, input)?;
            Some(lost.cause(input.output))
        });
        causes.collect()
    }

    /// Enters into memory what was read about the outputs that a derivation makes and needs; returns their rows.
    pub(crate) fn take_in(&mut self, known: &Known, record: &DerivationRecord) -> Nodes {
        self.edges += record.inputs.len();
        let nodes = self.nodes(record);
        for (ix, output) in nodes.outputs.iter().zip(&record.outputs) {
            self.take_in_presence(known, output.item.digest, *ix);
        }
        for (&ix, input) in nodes.inputs.iter().zip(&record.inputs) {
            self.take_in_presence(known, input.output, ix);
            let node = &self.outputs[ix];
            if node.status() == Status::Untried
                && let Some(lost) = self.lost_cause_of(known, input, Some(node))
            {
                self.change_output(ix, |node| node.set_lost(Some(lost)));
            }
        }
        nodes
    }

    fn take_in_presence(&mut self, known: &Known, digest: Digest, ix: Ix<Output>) {
        let node = &self.outputs[ix];
        if !node.presence.is_sure() {
            let presence = self.presence_of(known, digest, Some(node));
            if presence != Presence::Unknown {
                self.change_output(ix, |node| node.presence = presence);
            }
        }
    }
}
