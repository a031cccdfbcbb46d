//! Graphs drawn by chance.

use crate::chance;
use crate::graph::{Graph, Node, Use};

/// A graph in layers: each derivation needs some of the layer before its own.
///
/// Graphs of one width and degree differ in nothing but their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// How many derivations.
    pub nodes: u32,
    /// How many of them in a layer; at least 1.
    pub width: u32,
    /// How many inputs each has, except in the first layer; some may be drawn twice, and count once.
    pub degree: u32,
    /// The same seed gives the same graph.
    pub seed: u64,
}

impl Layers {
    /// A graph whose derivations have about as many inputs at the mean as those of Guix, 21.4 to 21.6 from 10,000 derivations
    /// on, and of which a tenth is ready at a time.
    #[must_use]
    pub fn ten(nodes: u32) -> Self {
        Self {
            nodes,
            width: nodes.div_ceil(10),
            degree: 24,
            seed: 1,
        }
    }

    /// Draws it.
    #[must_use]
    pub fn draw(self) -> Graph {
        let width = self.width.max(1);
        let mut state = self.seed;
        let mut nodes = Vec::with_capacity(self.nodes as usize);
        for number in 0..self.nodes {
            let layer = number - number % width;
            let mut draw = |_| {
                let below = u64::from(width);
                let at = u32::try_from(chance::next(&mut state) % below);
                Use {
                    node: layer - width + at.unwrap_or(0),
                    output: 0,
                }
            };
            let mut inputs: Vec<Use> = if layer == 0 {
                Vec::new()
            } else {
                (0..self.degree).map(&mut draw).collect()
            };
            inputs.sort_unstable();
            inputs.dedup();
            nodes.push(Node {
                name: format!("layer-{}-{}", layer / width, number % width),
                system: "x86_64-linux".to_owned(),
                fixed: None,
                outputs: vec!["out".to_owned()],
                inputs,
                duration_ms: None,
            });
        }
        Graph { nodes }
    }
}
