//! Which evaluation of a graph changed which derivation.

use crate::chance::{self, Chance};
use crate::graph::Graph;

/// For each evaluation and each derivation of the graph, the evaluation that changed it last.
#[derive(Clone, Debug)]
pub(crate) struct Versions {
    nodes: usize,
    origins: Vec<u16>,
}

impl Versions {
    /// Draws for each evaluation but the first which packages change. All derivations of one name change together.
    pub(crate) fn draw(graph: &Graph, evaluations: u32, share: f64, seed: u64) -> Self {
        let nodes = graph.nodes.len();
        let names = graph.nodes.iter().map(|node| chance::hash(&node.name));
        let names: Vec<u64> = names.collect();
        let mut origins: Vec<u16> = vec![0; nodes];
        for evaluation in 1..evaluations {
            let before = origins.len() - nodes;
            let number = u16::try_from(evaluation).unwrap_or(u16::MAX);
            for (at, node) in graph.nodes.iter().enumerate() {
                let changed = |input: u32| origins[before + nodes + input as usize] == number;
                let changes = node.fixed.is_none() && {
                    let mut chance = Chance::new(seed)
                        .with(u64::from(evaluation))
                        .with(names[at]);
                    chance.unit() < share || node.inputs.iter().any(|input| changed(input.node))
                };
                origins.push(if changes {
                    number
                } else {
                    origins[before + at]
                });
            }
        }
        Self { nodes, origins }
    }

    /// The evaluation that changed a derivation last, as seen from an evaluation.
    pub(crate) fn origin(&self, evaluation: u32, node: u32) -> u32 {
        u32::from(self.origins[evaluation as usize * self.nodes + node as usize])
    }
}
