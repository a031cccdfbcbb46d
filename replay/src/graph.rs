//! What is to be built, and what it needs.

/// Derivations, those that others need before them.
///
/// Names, systems and inputs, without store items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
}

/// A derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The store name without `.drv`, such as `hello-2.12.2`.
    pub name: String,
    /// What it builds on, such as `x86_64-linux`.
    pub system: String,
    /// For a fixed output: the first derivation of the graph that makes the same one, often this.
    pub fixed: Option<u32>,
    /// The names of its outputs, in the order of its text; at least one.
    pub outputs: Vec<String>,
    /// The outputs that it needs; sorted, each once.
    pub inputs: Vec<Use>,
    /// Milliseconds that it takes on a machine of speed 1, if that is known.
    pub duration_ms: Option<u64>,
}

impl Node {
    /// The name without the version: what stands before the first `-` that a digit follows, as Guix splits names.
    #[must_use]
    pub fn package(&self) -> &str {
        let bytes = self.name.as_bytes();
        let dash = bytes
            .windows(2)
            .position(|pair| pair[0] == b'-' && pair[1].is_ascii_digit());
        dash.map_or(self.name.as_str(), |at| &self.name[..at])
    }
}

/// An output that another derivation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The number of the derivation that makes it.
    pub node: u32,
    /// The number of the output among its outputs.
    pub output: u16,
}

/// Why something is no graph.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the graph: {what}")]
pub struct GraphError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl Graph {
    /// All derivations; the number of one is its place here.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How many times a derivation needs an output of another.
    #[must_use]
    pub fn uses(&self) -> usize {
        self.nodes.iter().map(|node| node.inputs.len()).sum()
    }

    /// The numbers of the derivations that nothing needs.
    #[must_use]
    pub fn tops(&self) -> Vec<u32> {
        let mut needed = vec![false; self.nodes.len()];
        for input in self.nodes.iter().flat_map(|node| &node.inputs) {
            needed[input.node as usize] = true;
        }
        let tops = (0..).zip(needed).filter(|(_, needed)| !needed);
        tops.map(|(number, _)| number).collect()
    }

    /// The same, for these systems in turn; of none, it is left as it is.
    #[must_use]
    pub fn on(mut self, systems: &[&str]) -> Self {
        for (node, system) in self.nodes.iter_mut().zip(systems.iter().cycle()) {
            node.system = (*system).to_owned();
        }
        self
    }

    /// The number of the derivation of that name, if there is one; of several, the first.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<u32> {
        let at = self.nodes.iter().position(|node| node.name == name)?;
        u32::try_from(at).ok()
    }
}
