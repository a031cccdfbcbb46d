//! The graph as a farm's client needs it.

use super::{Toolchain, kit::Kit, plan};
use grange_derivation::{BuilderError, Instantiated, NameError, StoreDir, StorePath, nar};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Derivations, what they start from, and what is to be expected of them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DemoGraph {
    /// All derivations, inputs first.
    pub derivations: Vec<Instantiated>,
    /// All sources, each of which refers to nothing.
    pub sources: Vec<(StorePath, SourceContent)>,
    /// The derivations to ask for; all others are inputs of these.
    pub roots: Vec<StorePath>,
    /// How the builds will end.
    pub expected: Expected,
    /// Directories of the host that the sandbox must show to builds: where they lie, and where they appear. The same
    /// place for both so far: a compiler knows its own.
    pub sandbox_paths: Vec<(PathBuf, PathBuf)>,
}

/// What a source item holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceContent {
    /// What lies at a place of this host: a directory. Its store path follows from its nar.
    Path(PathBuf),
    /// A file that cannot be executed, by its bytes. Its store path is a text's, as that of a `.drv`.
    Text(Vec<u8>),
}

/// The derivations' paths, by how their builds end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expected {
    /// These are built.
    pub succeeded: BTreeSet<StorePath>,
    /// These fail by themselves.
    pub failed: BTreeSet<StorePath>,
    /// These cannot be built, because an input failed.
    pub failed_dependency: BTreeSet<StorePath>,
}

/// Why the graph could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A directory of the toolchain cannot be read.
    #[error("the toolchain in `{}` cannot be read", .path.display())]
    Toolchain {
        /// Which.
        path: PathBuf,
        /// Why.
        source: nar::FsError,
    },
    /// A source cannot have its name.
    #[error("`{name}` cannot be the name of a source")]
    Source {
        /// The name.
        name: String,
        /// What is wrong.
        source: NameError,
    },
    /// A derivation cannot be written.
    #[error("the derivation `{name}` cannot be written")]
    Derivation {
        /// Its name.
        name: String,
        /// What is wrong.
        source: BuilderError,
    },
    /// A recipe names a file, a recipe or an output that is not there: a mistake in this crate.
    #[error("the recipe of `{recipe}` names `{missing}`, which is not there")]
    Missing {
        /// Which recipe.
        recipe: String,
        /// What it names.
        missing: String,
    },
}

/// The graph for a toolchain and a store directory. Reads the toolchain's directories, 9 MB, to hash them.
///
/// # Errors
/// If the toolchain cannot be read.
pub fn graph(toolchain: &Toolchain, store: &StoreDir) -> Result<DemoGraph, GraphError> {
    let mut kit = Kit::new(toolchain, store)?;
    let roots = plan::write(&mut kit)?;
    let mut graph = kit.finish();
    graph.roots = roots;
    if let Toolchain::Host { paths, .. } = toolchain {
        graph.sandbox_paths = paths
            .iter()
            .map(|path| (path.clone(), path.clone()))
            .collect();
    }
    Ok(graph)
}

impl DemoGraph {
    /// The derivation of that name.
    #[must_use]
    pub fn derivation(&self, name: &str) -> Option<&Instantiated> {
        self.derivations
            .iter()
            .find(|made| &*made.derivation.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn demo(store: &StoreDir) -> DemoGraph {
        graph(
            &Toolchain::Host {
                paths: vec!["/usr".into()],
                why: "the test needs none".to_owned(),
            },
            store,
        )
        .unwrap()
    }

    #[test]
    fn it_is_as_large_as_promised() {
        let graph = demo(&StoreDir::guix());
        assert!(
            graph.derivations.len() >= 45,
            "{} derivations",
            graph.derivations.len()
        );
        let mut level = BTreeMap::new();
        for made in &graph.derivations {
            let inputs = made.derivation.input_derivations.keys();
            let below = inputs
                .map(|input| *level.get(input).expect("inputs come first"))
                .max()
                .unwrap_or(0);
            level.insert(made.path.clone(), below + 1);
        }
        assert!(level.values().max() >= Some(&6), "{level:?}");
        let outputs = |least| {
            graph
                .derivations
                .iter()
                .filter(|made| made.outputs().count() >= least)
                .count()
        };
        assert!(
            outputs(2) >= 20 && outputs(3) >= 10,
            "{} and {}",
            outputs(2),
            outputs(3)
        );
        assert_eq!(
            graph
                .derivations
                .iter()
                .filter(|made| made.derivation.fixed_output().is_some())
                .count(),
            1
        );
    }

    #[test]
    fn the_roots_need_everything() {
        let graph = demo(&StoreDir::nix());
        let by_path: BTreeMap<_, _> = graph
            .derivations
            .iter()
            .map(|made| (&made.path, made))
            .collect();
        let mut seen = BTreeSet::new();
        let mut sources = BTreeSet::new();
        let mut open = graph.roots.clone();
        while let Some(path) = open.pop() {
            if seen.insert(path.clone()) {
                open.extend(by_path[&path].derivation.input_derivations.keys().cloned());
                sources.extend(by_path[&path].derivation.input_sources.iter().cloned());
            }
        }
        assert_eq!(seen, by_path.into_keys().cloned().collect());
        assert_eq!(
            sources,
            graph.sources.iter().map(|(path, _)| path.clone()).collect()
        );
    }

    #[test]
    fn one_failure_takes_dependents_of_several_levels_with_it() {
        let graph = demo(&StoreDir::guix());
        let Expected {
            succeeded,
            failed,
            failed_dependency,
        } = &graph.expected;
        assert_eq!(
            succeeded.len() + failed.len() + failed_dependency.len(),
            graph.derivations.len()
        );
        let name = |path: &StorePath| path.derivation_name().unwrap().to_owned();
        assert_eq!(failed.iter().map(name).collect::<Vec<_>>(), ["dates"]);
        let lost: BTreeSet<_> = failed_dependency.iter().map(name).collect();
        assert_eq!(
            lost,
            ["agenda", "agenda-tool", "almanac", "cal", "calendar"]
                .map(str::to_owned)
                .into()
        );
        assert!(succeeded.contains(&graph.derivation("world").unwrap().path));
        assert_eq!(graph.roots.len(), 2);
    }

    #[test]
    fn it_is_the_same_every_time() {
        let paths = |graph: DemoGraph| {
            graph
                .derivations
                .into_iter()
                .map(|made| made.path)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            paths(demo(&StoreDir::guix())),
            paths(demo(&StoreDir::guix()))
        );
        assert_ne!(
            paths(demo(&StoreDir::guix())),
            paths(demo(&StoreDir::nix()))
        );
    }
}
