//! All of Guix as texts of derivations, without a Guix.
//!
//! Names, systems, outputs and inputs are those of the graph in `replay/data`, 71,764 derivations. What the graph does not
//! hold is made up in its usual size: a builder and its arguments as Guix writes them, two sources each out of a thousand
//! (a Guix has one more of its own for most derivations), 100 bytes of environment, or 390 where the output is fixed. So
//! the texts are as long as those of a Guix, to a few percent, and hashes and paths follow from them as they should.

use anyhow::Context as _;
use grange::client::MemorySource;
use grange::derivation::{Builder, DerivationHash, Hash, StoreDir, StorePath, paths};
use grange_replay::Graph;

/// Sources, shared by all.
const SOURCES: usize = 1_000;

/// The graph, and the sources of its derivations.
#[derive(Debug)]
pub struct Guix {
    graph: Graph,
    store: StoreDir,
    sources: Vec<(StorePath, Vec<u8>)>,
}

impl Guix {
    /// Reads the graph.
    ///
    /// # Errors
    ///
    /// None with what is committed.
    pub fn new() -> anyhow::Result<Self> {
        let store = StoreDir::guix();
        let source = |number: usize| {
            let text = format!("(define %source {number})\n")
                .repeat(40)
                .into_bytes();
            let hash = Hash::sha256(&text).to_sha256().context("it is SHA-256")?;
            let path = paths::text_path(&store, &format!("source-{number}-builder"), [], &hash)?;
            Ok((path, text))
        };
        let sources = (0..SOURCES)
            .map(source)
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            graph: Graph::guix(),
            sources,
            store,
        })
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Has the sources of all derivations in it.
    pub fn add_sources(&self, to: &mut MemorySource) {
        for (path, text) in &self.sources {
            to.add_file(path.clone(), text.clone(), false);
        }
    }

    /// Uses all sources, and nothing else.
    ///
    /// # Errors
    ///
    /// None with what is committed.
    pub fn user_of_sources(&self) -> anyhow::Result<grange::derivation::Instantiated> {
        let user = Builder::new(&self.store, "all-sources", "none-none", "/bin/sh");
        let sources = self.sources.iter().map(|(path, _)| path.clone());
        Ok(sources.fold(user, Builder::source).instantiate()?)
    }

    /// Gives `take` the derivations, those that others need before them: number, path and text. No two copies have one in
    /// common.
    ///
    /// # Errors
    ///
    /// That of `take`.
    pub fn write(
        &self,
        copy: u32,
        mut take: impl FnMut(usize, &StorePath, Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut made: Vec<(StorePath, DerivationHash)> = Vec::new();
        let guile = "/gnu/store/0iyz0rqh7vj1pz4xz8fg7wgl5jhhbm4n-guile-3.0.9/bin/guile";
        for (number, node) in self.graph.nodes().iter().enumerate() {
            let builder = if node.fixed.is_some() {
                "builtin:download"
            } else {
                guile
            };
            let mut one = Builder::new(&self.store, &node.name, node.system.as_str(), builder);
            let sources = [number % SOURCES, (number / 7) % SOURCES];
            for source in sources {
                one = one.source(self.sources[source].0.clone());
            }
            for input in &node.inputs {
                let (path, hash) = &made[input.node as usize];
                let output =
                    &self.graph.nodes()[input.node as usize].outputs[usize::from(input.output)];
                one = one.input_path(path.clone(), *hash, &[output]);
            }
            one = match node.fixed {
                Some(first) => one
                    .env(
                        "url",
                        format!("\"mirror://copy-{copy}/{}.tar.gz\" ", node.name).repeat(4),
                    )
                    .env("preferLocalBuild", "1")
                    .env(
                        "impureEnvVars",
                        "http_proxy https_proxy LC_ALL LC_MESSAGES LANG COLUMNS",
                    )
                    .fixed(true, Hash::sha256(format!("{copy}/{first}").as_bytes())),
                None => {
                    let [modules, program] = sources.map(|it| self.sources[it].0.to_string());
                    let words = [
                        "--no-auto-compile",
                        "-L",
                        &modules,
                        "-C",
                        &program,
                        &program,
                    ];
                    let one = one.args(words).env("copy", copy.to_string());
                    node.outputs
                        .iter()
                        .fold(one, |one, output| one.output(output))
                }
            };
            let one = one.instantiate()?;
            take(number, &one.path, one.text)?;
            made.push((one.path, one.hash));
        }
        Ok(())
    }
}
