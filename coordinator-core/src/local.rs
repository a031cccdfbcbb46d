//! Which agents have what.
//!
//! An agent that made an output has it, and one that was given a build has all that the build needs; until it collects garbage,
//! of which nobody hears. So this is a guess, kept only if the policy's placement goes by it, of outputs that unfinished builds
//! need, and of each the few agents that had to do with it last.

use smallvec::SmallVec;

use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::{Agent, Derivation, Index, Output};

/// So many agents are remembered of an output.
const HOLDERS: usize = 8;
/// What an output counts for whose size nobody has said, in bytes.
const UNKNOWN: u64 = 1;

/// What is known of where outputs lie.
#[derive(Debug, Default)]
pub(crate) struct Local {
    wanted: bool,
    outputs: Index<u32, Held>,
}

/// Who has an output.
#[derive(Clone, Debug)]
struct Held {
    bytes: u64,
    /// With the generations of their rows, the latest last.
    agents: SmallVec<[(Ix<Agent>, u32); 2]>,
}

impl Local {
    pub(crate) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// An output is forgotten.
    pub(crate) fn forget(&mut self, output: Ix<Output>) {
        if self.wanted {
            self.outputs.remove(&output.0);
        }
    }

    /// How many outputs are remembered.
    pub(crate) fn len(&self) -> usize {
        self.outputs.len()
    }

    fn held(&mut self, output: Ix<Output>) -> &mut Held {
        self.outputs.entry(output.0).or_insert_with(|| Held {
            bytes: UNKNOWN,
            agents: SmallVec::new(),
        })
    }
}

impl Core {
    /// An agent has made an output.
    pub(crate) fn has_made(&mut self, agent: Ix<Agent>, output: Ix<Output>, bytes: u64) {
        if self.local.wanted {
            self.local.held(output).bytes = bytes.max(UNKNOWN);
            self.has(agent, output);
        }
    }

    /// An agent was given a build of a derivation: it has what that needs, or fetches it.
    pub(crate) fn has_inputs(&mut self, agent: Ix<Agent>, derivation: Ix<Derivation>) {
        if self.local.wanted {
            for at in 0..self.derivations[derivation].inputs.len() {
                let input = self.derivations[derivation].inputs[at];
                self.has(agent, input);
            }
        }
    }

    fn has(&mut self, agent: Ix<Agent>, output: Ix<Output>) {
        let holder = (agent, self.agents.generation(agent));
        let agents = &mut self.local.held(output).agents;
        agents.retain(|other| *other != holder);
        if agents.len() == HOLDERS {
            agents.remove(0);
        }
        agents.push(holder);
    }

    /// How many bytes of what a derivation needs each agent has, as far as is known.
    pub(crate) fn local_bytes(
        &self,
        derivation: Ix<Derivation>,
    ) -> SmallVec<[(Ix<Agent>, u64); 8]> {
        let mut all: SmallVec<[(Ix<Agent>, u64); 8]> = SmallVec::new();
        if !self.local.wanted {
            return all;
        }
        for input in &self.derivations[derivation].inputs {
            let Some(held) = self.local.outputs.get(&input.0) else {
                continue;
            };
            let agents = held.agents.iter();
            for (agent, _) in agents.filter(|(ix, at)| self.agents.is_current(*ix, *at)) {
                match all.iter_mut().find(|(other, _)| other == agent) {
                    Some((_, bytes)) => *bytes = bytes.saturating_add(held.bytes),
                    None => all.push((*agent, held.bytes)),
                }
            }
        }
        all
    }
}
