//! A store and a builder, and the graph's derivations built in order.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join;
use grange_derivation::{Hash, Instantiated, StoreDir, StorePath, nar};
use grange_examples::demo::{DemoGraph, Expected, SourceContent};
use grange_interfaces::{BuildError, Builder, Built, ItemInfo, Job, LocalStore, Log, Stop};
use grange_model::{Limits, NarHash};
use grange_sandbox::{NotSupported, SandboxBuilder, SandboxConfig, SandboxStore, StoreConfig};

const LIMITS: Limits = Limits {
    timeout_ms: 600_000,
    max_silent_ms: 600_000,
};

/// What became of the graph.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) ends: Expected,
    /// Hashes of all outputs that were made.
    pub(crate) hashes: BTreeMap<StorePath, NarHash>,
    /// The logs of what failed.
    pub(crate) failures: Vec<String>,
}

pub(crate) struct Farm {
    store: Arc<SandboxStore>,
    builder: SandboxBuilder,
    _directory: tempfile::TempDir,
}

impl Farm {
    pub(crate) async fn new(graph: &DemoGraph) -> Result<Self, NotSupported> {
        let directory = tempfile::tempdir().expect("there is a temporary directory");
        let config = StoreConfig::new(directory.path().join("store"), StoreDir::guix());
        let store = Arc::new(SandboxStore::open(config).expect("the store opens"));
        let mut config = SandboxConfig::default();
        config.sandbox_paths = graph
            .sandbox_paths
            .iter()
            .map(|(host, _)| host.clone())
            .collect();
        let builder = SandboxBuilder::new(Arc::clone(&store), config).await?;
        Ok(Self {
            store,
            builder,
            _directory: directory,
        })
    }

    /// Builds everything that can be built.
    pub(crate) async fn build(&self, graph: &DemoGraph) -> Results {
        for (path, content) in &graph.sources {
            self.add(path, content).await;
        }
        let by_path: BTreeMap<_, _> = graph
            .derivations
            .iter()
            .map(|made| (&made.path, made))
            .collect();
        let mut results = Results::default();
        for made in &graph.derivations {
            let mut inputs = made.derivation.input_derivations.keys();
            if inputs.any(|input| !results.ends.succeeded.contains(input)) {
                results.ends.failed_dependency.insert(made.path.clone());
                continue;
            }
            let (result, log) = self.run(&self.job(made, &by_path)).await;
            match result {
                Ok(built) => {
                    results.hashes.extend(
                        built
                            .outputs
                            .into_iter()
                            .map(|output| (output.path, output.nar_hash)),
                    );
                    results.ends.succeeded.insert(made.path.clone());
                }
                Err(error) => {
                    results.failures.push(format!(
                        "{}: {error}\n{}",
                        made.path,
                        String::from_utf8_lossy(&log)
                    ));
                    results.ends.failed.insert(made.path.clone());
                }
            }
        }
        results
    }

    /// What an output holds that is a file.
    pub(crate) fn read(&self, output: &StorePath) -> Vec<u8> {
        let path = self.store.real_path(output).expect("the output is valid");
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    async fn add(&self, path: &StorePath, content: &SourceContent) {
        let mut bytes = Vec::new();
        match content {
            SourceContent::Path(directory) => {
                nar::pack(directory, &mut bytes).expect("the toolchain can be packed");
            }
            SourceContent::Text(text) => {
                let mut encoder = nar::Encoder::new(&mut bytes);
                encoder
                    .regular(false, text.len() as u64)
                    .expect("memory takes it");
                encoder.contents(&mut &text[..]).expect("memory takes it");
                encoder.finish().expect("it is complete");
            }
        }
        let nar_hash = NarHash(
            Hash::sha256(&bytes)
                .to_sha256()
                .expect("SHA-256 was asked for"),
        );
        let nar_size = bytes.len() as u64;
        let info = ItemInfo {
            path: path.clone(),
            nar_hash,
            nar_size,
            references: Vec::new(),
            deriver: None,
        };
        let body = futures::stream::iter([Ok(Bytes::from(bytes))]).boxed();
        self.store
            .import(&info, body)
            .await
            .expect("sources can be imported");
    }

    fn job(&self, made: &Instantiated, by_path: &BTreeMap<&StorePath, &Instantiated>) -> Job {
        let mut roots: BTreeSet<_> = made.derivation.input_sources.clone();
        for (path, outputs) in &made.derivation.input_derivations {
            roots.extend(
                outputs
                    .iter()
                    .map(|output| by_path[path].derivation.outputs[output].path.clone()),
            );
        }
        let references = |path: &StorePath| -> Result<Vec<StorePath>, Infallible> {
            let references = self
                .store
                .info(path)
                .map(|info| info.references)
                .unwrap_or_default();
            Ok(references
                .into_iter()
                .filter(|reference| reference != path)
                .collect())
        };
        Job {
            path: made.path.clone(),
            derivation: Arc::new(made.derivation.clone()),
            text: made.text.clone().into(),
            inputs: grange_derivation::graph::topological(roots, references)
                .expect("a store has no circles"),
            limits: LIMITS,
            cores: 1,
        }
    }

    async fn run(&self, job: &Job) -> (Result<Built, BuildError>, Vec<u8>) {
        let (log, mut receiver) = Log::new(16);
        let read = async {
            let mut all = Vec::new();
            while let Some(piece) = receiver.next().await {
                all.extend_from_slice(&piece);
            }
            all
        };
        join(self.builder.build(job, log, Stop::never()), read).await
    }
}
