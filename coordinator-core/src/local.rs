//! Which agents have what.
//!
//! An agent that made an output has it, and one that was given a build has all that the build needs; until it collects garbage,
//! of which nobody hears. So this is a guess, kept only if the policy's placement goes by it, of outputs that unfinished builds
//! need, and of each the few agents that had to do with it last.

use smallvec::{SmallVec, smallvec};

use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::{Agent, Derivation, Index, Output};

/// So many agents are remembered of an output.
const HOLDERS: usize = 8;
/// Of so many inputs it is looked up who has them.
const LOOKED_AT: usize = 500;
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
            self.edges += self.derivations[derivation].inputs.len();
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

    /// How many bytes of what a derivation needs each of these agents has, as far as is known.
    pub(crate) fn local_bytes(
        &self,
        derivation: Ix<Derivation>,
        agents: &[Ix<Agent>],
    ) -> SmallVec<[u64; 8]> {
        let mut all: SmallVec<[u64; 8]> = smallvec![0; agents.len()];
        if !self.local.wanted {
            return all;
        }
        for input in self.derivations[derivation].inputs.iter().take(LOOKED_AT) {
            let Some(held) = self.local.outputs.get(&input.0) else {
                continue;
            };
            let current = |(ix, at): &&(Ix<Agent>, u32)| self.agents.is_current(*ix, *at);
            for (holder, _) in held.agents.iter().filter(current) {
                if let Some(at) = agents.iter().position(|agent| agent == holder) {
                    all[at] = all[at].saturating_add(held.bytes);
                }
            }
        }
        all
    }
}
