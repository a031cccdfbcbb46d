//! A graph's derivations as a coordinator knows them.

use std::sync::Arc;

use grange_model::{
    BlobId, BuildId, DerivationRecord, Digest, InputRef, Item, ItemRecord, NarHash, OutputRef,
};
use uuid::Uuid;

use crate::config::ConfigError;
use crate::graph::{Graph, Node, Use};
use crate::versions::Versions;

/// A graph several times, each time with store items of its own: side by side, or as evaluations that share what did
/// not change between them.
///
/// A clone shares the graph with its original.
#[derive(Clone, Debug)]
pub struct Copies {
    graph: Arc<Graph>,
    copies: u32,
    /// None: no copy has anything of another.
    versions: Option<Arc<Versions>>,
}

/// Stands where an output's number stands in the digest of an output.
const DERIVATION: u16 = u16::MAX;
/// The store of all that is built.
const STORE: &str = "/gnu/store";
/// So many derivations of all copies at most: a few GB of memory.
const MOST: usize = 10_000_000;

impl Copies {
    /// Whether there may be so many copies or evaluations of a graph. Nothing is allocated for that.
    ///
    /// # Errors
    ///
    /// They have more than 10 million derivations; those that evaluations share count for each.
    pub fn check(graph: &Graph, copies: u32) -> Result<(), ConfigError> {
        let nodes = graph.nodes.len();
        if nodes.saturating_mul(copies as usize) > MOST {
            let what = format!("{copies} times {nodes} derivations; at most {MOST} in all");
            return Err(ConfigError::new("workload", what));
        }
        Ok(())
    }

    /// So many, which share nothing.
    #[must_use]
    pub fn new(graph: impl Into<Arc<Graph>>, copies: u32) -> Self {
        Self {
            graph: graph.into(),
            copies,
            versions: None,
        }
    }

    /// The same packages evaluated several times. Between one evaluation and the next a share of the packages changes
    /// (0 to 1), and with them whatever needs them; the rest is shared.
    ///
    /// Fixed outputs never change, and hand no change on: what they are named after is their content.
    #[must_use]
    pub fn evaluations(
        graph: impl Into<Arc<Graph>>,
        evaluations: u32,
        share: f64,
        seed: u64,
    ) -> Self {
        let graph = graph.into();
        let versions = Versions::draw(&graph, evaluations, share, seed);
        Self {
            graph,
            copies: evaluations,
            versions: Some(Arc::new(versions)),
        }
    }

    /// What it is made of.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How many derivations all copies have; one that several share counts once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.versions.as_ref().map_or_else(
            || self.graph.nodes.len() * self.copies as usize,
            |_| self.all().count(),
        )
    }

    /// How many copies or evaluations there are.
    #[must_use]
    pub fn copies(&self) -> u32 {
        self.copies
    }

    /// The first copy that has the same derivation of that number as this one.
    ///
    /// # Panics
    ///
    /// If there is no such copy, or the graph has no derivation of that number.
    #[must_use]
    pub fn origin(&self, copy: u32, node: u32) -> u32 {
        self.versions
            .as_ref()
            .map_or(copy, |versions| versions.origin(copy, node))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every derivation, as the first copy that has it and its number; those that others need before them.
    pub fn all(&self) -> impl Iterator<Item = (u32, u32)> + use<> {
        let nodes = u32::try_from(self.graph.nodes.len()).unwrap_or(u32::MAX);
        let all = (0..self.copies).flat_map(move |copy| (0..nodes).map(move |node| (copy, node)));
        let versions = self.versions.clone();
        all.filter(move |(copy, node)| {
            let origin = versions.as_ref().map(|it| it.origin(*copy, *node));
            origin.is_none_or(|origin| origin == *copy)
        })
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
        let known = (node as usize) < self.graph.nodes.len()
            && copy < self.copies
            && self.origin(copy, node) == copy;
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
    /// If there is no such copy, or the graph has no derivation of that number.
    #[must_use]
    pub fn record(&self, copy: u32, node: u32) -> DerivationRecord {
        let row = &self.graph.nodes[node as usize];
        let inputs = row.inputs.iter().map(|input| {
            let origin = self.origin(copy, input.node);
            InputRef {
                derivation: Self::digest(origin, input.node),
                output: self.output(origin, *input),
            }
        });
        let mut inputs: Vec<InputRef> = inputs.collect();
        inputs.sort_unstable();
        DerivationRecord {
            item: self.item(copy, node),
            store: STORE.to_owned(),
            system: row.system.clone(),
            outputs: self.outputs(copy, node).collect(),
            inputs,
            sources: Vec::new(),
            hash: hash(Self::digest(copy, node)),
            features: Vec::new(),
        }
    }

    /// The outputs of a derivation, as an agent would have made them: none has bytes that count, nor refers to another.
    ///
    /// # Panics
    ///
    /// If the graph has no derivation of that number.
    #[must_use]
    pub fn built(&self, copy: u32, node: u32) -> Vec<ItemRecord> {
        let deriver = self.item(copy, node);
        let hash = hash(deriver.digest);
        let outputs = self.outputs(copy, node).map(|output| ItemRecord {
            item: output.item,
            store: STORE.to_owned(),
            nar_hash: NarHash(hash),
            nar_size: 1,
            references: Vec::new(),
            deriver: Some(deriver.clone()),
            blob: BlobId(hash),
            blob_size: 1,
        });
        outputs.collect()
    }

    fn item(&self, copy: u32, node: u32) -> Item {
        Item {
            digest: Self::digest(copy, node),
            name: format!("{}.drv", self.graph.nodes[node as usize].name),
        }
    }

    fn outputs(&self, copy: u32, node: u32) -> impl Iterator<Item = OutputRef> {
        let row = &self.graph.nodes[node as usize];
        (0..)
            .zip(&row.outputs)
            .map(move |(output, name)| OutputRef {
                name: name.clone(),
                item: Item {
                    digest: self.output(copy, Use { node, output }),
                    name: output_name(row, name),
                },
            })
    }

    /// What an output is called. Those that are fixed and the same have one name.
    fn output(&self, copy: u32, of: Use) -> Digest {
        let fixed = self.graph.nodes[of.node as usize].fixed;
        name(copy, fixed.unwrap_or(of.node), of.output)
    }
}

fn hash(digest: Digest) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..20].copy_from_slice(&digest.0);
    hash
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
