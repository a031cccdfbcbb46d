//! Derivations that wait for themselves.
//!
//! Derivations form no cycle, for each is named by a hash of what it needs. Outputs do: `fetch`
//! makes the fixed output `tar`, `tool` needs it, and `mirror`, which needs `tool`, makes `tar` too.
//! If `fetch` fails, `tool` would wait for `mirror`, and `mirror` for `tool`, for ever. So `mirror`
//! is not counted among those that may bring `tar`, as long as it waits for it itself.
//!
//! Each such cycle passes an output of which somebody needs it of another derivation than the one
//! that makes it. Outputs that have been named with two derivations are known, and rare; while there
//! are none, nothing is searched.

use std::collections::hash_map::Entry;

use grange_model::Digest;

use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::{Derivation, Index, Output, Status};

/// `needs` waits for `output`, which `brings` may bring.
#[derive(Clone, Copy, Debug)]
struct Edge {
    needs: Ix<Derivation>,
    output: Ix<Output>,
    brings: Ix<Derivation>,
}

impl Core {
    /// Somebody names the output as one of this derivation; whether others said so before.
    pub(crate) fn name_maker(&mut self, output: Ix<Output>, derivation: Digest) -> bool {
        let node = &mut self.outputs[output];
        let same = *node.maker.get_or_insert(derivation) == derivation;
        if !same && !node.ambiguous {
            node.ambiguous = true;
            self.ambiguous += 1;
        }
        same
    }

    /// Finds out whether a derivation that was just added waits for itself.
    pub(crate) fn break_new_cycles(&mut self, ix: Ix<Derivation>) {
        let row = &self.derivations[ix];
        let mut outputs = row.outputs.iter();
        let needed = outputs.any(|output| self.outputs.hot(*output).live > 0);
        let waits = self.derivations.hot(ix).expected > 0;
        if self.ambiguous > 0 && waits && needed {
            self.break_cycles(ix);
        }
    }

    /// The same for all that may, when everything was loaded.
    pub(crate) fn break_loaded_cycles(&mut self) {
        if self.ambiguous == 0 {
            return;
        }
        let ambiguous = self.outputs.iter().filter(|(_, node)| node.ambiguous);
        let producers: Vec<_> = ambiguous
            .flat_map(|(_, node)| node.producers.iter().copied())
            .collect();
        for producer in producers {
            self.break_cycles(producer);
        }
    }

    fn break_cycles(&mut self, ix: Ix<Derivation>) {
        while let Some(cycle) = self.find_cycle(ix) {
            let alternative = cycle.iter().find(|edge| !self.is_named(edge));
            let Some(&edge) = alternative.or_else(|| cycle.first()) else {
                return;
            };
            self.change_output(edge.output, |node| {
                node.producers.retain(|producer| *producer != edge.brings);
                node.add_waiting(edge.brings);
            });
            self.priority_changed(edge.brings);
            self.suspect(edge.brings);
            self.maybe_unwanted(edge.brings);
        }
    }

    /// Whether the derivation that brings the output is the one that is said to.
    fn is_named(&self, edge: &Edge) -> bool {
        let brings = self.derivations[edge.brings].item.digest;
        let named = self.derivations[edge.needs].named();
        let mut of = named
            .iter()
            .filter(|(output, _)| *output == edge.output)
            .peekable();
        if of.peek().is_none() {
            return self.outputs[edge.output].maker == Some(brings);
        }
        of.any(|(_, derivation)| *derivation == brings)
    }

    /// A way from a derivation, over what it waits for, back to it.
    fn find_cycle(&self, start: Ix<Derivation>) -> Option<Vec<Edge>> {
        let mut from: Index<u32, Edge> = Index::default();
        let mut stack = vec![start];
        while let Some(needs) = stack.pop() {
            for &output in &self.derivations[needs].inputs {
                let node = &self.outputs[output];
                if node.status() != Status::Expected {
                    continue;
                }
                for &brings in &node.producers {
                    let edge = Edge {
                        needs,
                        output,
                        brings,
                    };
                    if brings == start {
                        return Some(way(start, edge, &from));
                    }
                    if let Entry::Vacant(vacant) = from.entry(brings.0) {
                        vacant.insert(edge);
                        stack.push(brings);
                    }
                }
            }
        }
        None
    }
}

fn way(start: Ix<Derivation>, last: Edge, from: &Index<u32, Edge>) -> Vec<Edge> {
    let mut cycle = vec![last];
    let mut at = last.needs;
    while at != start {
        let edge = from[&at.0];
        cycle.push(edge);
        at = edge.needs;
    }
    cycle
}
