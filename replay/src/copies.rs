//! A graph's derivations as a coordinator knows them.

use grange_model::{BuildId, DerivationRecord, Digest, InputRef, Item, OutputRef};
use uuid::Uuid;

use crate::graph::{Graph, Node, Use};

/// Several copies of a graph, side by side, each with store items of its own.
#[derive(Clone, Debug)]
pub struct Copies {
    graph: Graph,
    copies: u32,
}

/// Stands where an output's number stands in the digest of an output.
const DERIVATION: u16 = u16::MAX;

impl Copies {
    /// So many.
    #[must_use]
    pub fn new(graph: Graph, copies: u32) -> Self {
        Self { graph, copies }
    }

    /// What it is made of.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How many derivations all copies have.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.nodes.len() * self.copies as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every derivation, as copy and number; those that others need before them.
    pub fn all(&self) -> impl Iterator<Item = (u32, u32)> + use<> {
        let nodes = u32::try_from(self.graph.nodes.len()).unwrap_or(u32::MAX);
        (0..self.copies).flat_map(move |copy| (0..nodes).map(move |node| (copy, node)))
    }

    /// What a derivation is called.
    #[must_use]
    pub fn digest(copy: u32, node: u32) -> Digest {
        name(copy, node, DERIVATION)
    }

    /// Which derivation is called so: copy and number.
    #[must_use]
    pub fn locate(&self, digest: Digest) -> Option<(u32, u32)> {
        let (copy, node, part) = parts(digest);
        let known = (node as usize) < self.graph.nodes.len() && copy < self.copies;
        (known && part == DERIVATION && Self::digest(copy, node) == digest).then_some((copy, node))
    }

    /// A name for a build of a derivation.
    #[must_use]
    pub fn build(copy: u32, node: u32) -> BuildId {
        let number = u64::from(copy) << 32 | u64::from(node);
        BuildId(Uuid::from_u64_pair(0x0190_0000_0000_7000, 1 << 63 | number))
    }

    /// What a coordinator keeps of a derivation.
    ///
    /// # Panics
    ///
    /// If the graph has no derivation of that number.
    #[must_use]
    pub fn record(&self, copy: u32, node: u32) -> DerivationRecord {
        let row = &self.graph.nodes[node as usize];
        let outputs = (0..).zip(&row.outputs).map(|(number, output)| OutputRef {
            name: output.clone(),
            item: Item {
                digest: self.output(
                    copy,
                    Use {
                        node,
                        output: number,
                    },
                ),
                name: output_name(row, output),
            },
        });
        let inputs = row.inputs.iter().map(|input| InputRef {
            derivation: Self::digest(copy, input.node),
            output: self.output(copy, *input),
        });
        let mut inputs: Vec<InputRef> = inputs.collect();
        inputs.sort_unstable();
        let digest = Self::digest(copy, node);
        let mut hash = [0; 32];
        hash[..20].copy_from_slice(&digest.0);
        DerivationRecord {
            item: Item {
                digest,
                name: format!("{}.drv", row.name),
            },
            store: "/gnu/store".to_owned(),
            system: row.system.clone(),
            outputs: outputs.collect(),
            inputs,
            sources: Vec::new(),
            hash,
            features: Vec::new(),
        }
    }

    /// What an output is called. Those that are fixed and the same have one name.
    fn output(&self, copy: u32, of: Use) -> Digest {
        let fixed = self.graph.nodes[of.node as usize].fixed;
        name(copy, fixed.unwrap_or(of.node), of.output)
    }
}

fn output_name(node: &Node, output: &str) -> String {
    if output == "out" {
        node.name.clone()
    } else {
        format!("{}-{output}", node.name)
    }
}

/// A digest that can be read back, and whose bytes are spread like those of a hash.
fn name(copy: u32, node: u32, part: u16) -> Digest {
    let number = u64::from(copy) << 32 | u64::from(node);
    let mut state = number;
    let mask = crate::chance::next(&mut state);
    let mut digest = [0; 20];
    digest[..8].copy_from_slice(&mask.to_be_bytes());
    digest[8..16].copy_from_slice(&number.to_be_bytes());
    digest[16..18].copy_from_slice(&part.to_be_bytes());
    Digest(digest)
}

fn parts(digest: Digest) -> (u32, u32, u16) {
    let number = |from: usize| {
        let bytes = digest.0[from..from + 4].try_into();
        u32::from_be_bytes(bytes.expect("four bytes"))
    };
    let part = u16::from_be_bytes([digest.0[16], digest.0[17]]);
    (number(8), number(12), part)
}
