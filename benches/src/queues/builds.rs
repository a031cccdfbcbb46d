//! What is to be built, the same for every way of queueing it.

use grange_replay::{Copies, Layers};

/// Agents; each builds one at a time, for one of the systems, in turn.
pub const AGENTS: usize = 100;
/// What derivations are built for, in turn.
pub const SYSTEMS: [&str; 4] = ["x86_64-linux", "i686-linux", "aarch64-linux", "armhf-linux"];
/// Levels of priority.
pub const PRIORITIES: u32 = 5;
/// How many inputs a build has at the mean: as many as one of Guix.
const DEGREE: u32 = 22;
/// Layers of the graph: a tenth of all builds needs nothing.
const LAYERS: u32 = 10;

/// Builds, numbered in the order in which they are submitted; each has a derivation of its own.
///
/// They are as many equal graphs in layers as there are priorities, each submitted with one. What a build needs has a lower
/// number and the same priority, so priorities are derived already.
#[derive(Clone, Debug)]
pub struct Builds {
    copies: Copies,
    /// Where the users of each begin, in `users`.
    starts: Vec<usize>,
    users: Vec<u32>,
    needs: Vec<u32>,
}

impl Builds {
    /// About so many; at least some hundreds.
    #[must_use]
    pub fn new(count: u32) -> Self {
        let nodes = (count / PRIORITIES).max(LAYERS);
        let width = nodes.div_ceil(LAYERS);
        let graph = Layers {
            nodes,
            width,
            degree: drawn(width),
            seed: 1,
        };
        let graph = graph.draw().on(&SYSTEMS);
        let mut of_node = vec![Vec::new(); graph.nodes().len()];
        for (number, node) in (0..).zip(graph.nodes()) {
            for input in &node.inputs {
                of_node[input.node as usize].push(number);
            }
        }
        let (mut starts, mut users, mut needs) = (vec![0], Vec::new(), Vec::new());
        for copy in 0..PRIORITIES {
            for (node, of_node) in graph.nodes().iter().zip(&of_node) {
                users.extend(of_node.iter().map(|user: &u32| copy * nodes + user));
                starts.push(users.len());
                needs.push(u32::try_from(node.inputs.len()).unwrap_or(u32::MAX));
            }
        }
        Self {
            copies: Copies::new(graph, PRIORITIES),
            starts,
            users,
            needs,
        }
    }

    /// All of them.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = u32> + use<> {
        0..u32::try_from(self.needs.len()).unwrap_or(u32::MAX)
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.needs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    /// Their derivations.
    #[must_use]
    pub fn copies(&self) -> &Copies {
        &self.copies
    }

    /// Of which copy a build is, and the number of its derivation there.
    #[must_use]
    pub fn place(&self, build: u32) -> (u32, u32) {
        let nodes = self.nodes();
        (build / nodes, build % nodes)
    }

    /// Which build is of a copy's derivation.
    #[must_use]
    pub fn at(&self, copy: u32, node: u32) -> u32 {
        copy * self.nodes() + node
    }

    /// What need it.
    #[must_use]
    pub fn users(&self, build: u32) -> &[u32] {
        let build = build as usize;
        &self.users[self.starts[build]..self.starts[build + 1]]
    }

    /// How many others it needs.
    #[must_use]
    pub fn needs(&self, build: u32) -> u32 {
        self.needs[build as usize]
    }

    /// How many others a build needs at the mean.
    #[must_use]
    pub fn degree(&self) -> f64 {
        self.users.len() as f64 / self.len() as f64
    }

    /// What it was submitted with, which is also derived.
    #[must_use]
    pub fn priority(&self, build: u32) -> i32 {
        i32::try_from(self.place(build).0).unwrap_or(i32::MAX)
    }

    /// The number of its system.
    #[must_use]
    pub fn system(&self, build: u32) -> usize {
        self.place(build).1 as usize % SYSTEMS.len()
    }

    fn nodes(&self) -> u32 {
        u32::try_from(self.copies.graph().nodes().len()).unwrap_or(u32::MAX)
    }
}

/// How many inputs are to be drawn from so many that [`DEGREE`] are left at the mean: some are drawn twice, and the first
/// layer has none.
fn drawn(width: u32) -> u32 {
    let layers = f64::from(LAYERS);
    let wanted = f64::from(DEGREE) * layers / (layers - 1.0);
    let width = f64::from(width);
    if width <= wanted {
        return DEGREE;
    }
    let count = (1.0 - wanted / width).ln() / (1.0 - 1.0 / width).ln();
    // It is some more than `wanted`.
    count.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_of_every_number_have_the_same_degree() {
        for count in [10_000, 100_000] {
            let degree = Builds::new(count).degree();
            assert!((degree / f64::from(DEGREE) - 1.0).abs() < 0.03, "{degree}");
        }
    }

    #[test]
    fn a_build_knows_its_users_and_its_derivation() {
        let builds = Builds::new(1_000);
        let mut needs = vec![0; builds.len()];
        for build in builds.all() {
            let (copy, node) = builds.place(build);
            assert_eq!(builds.at(copy, node), build);
            let system = &builds.copies().graph().nodes()[node as usize].system;
            assert_eq!(SYSTEMS[builds.system(build)], system);
            for user in builds.users(build) {
                assert!(*user > build && builds.priority(*user) == builds.priority(build));
                needs[*user as usize] += 1;
            }
        }
        assert!(
            builds
                .all()
                .all(|it| builds.needs(it) == needs[it as usize])
        );
        assert_eq!(
            builds.all().filter(|it| builds.needs(*it) == 0).count(),
            100
        );
    }
}
