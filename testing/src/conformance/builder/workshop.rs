//! Derivations, and what becomes of them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use grange_derivation::{Instantiated, StorePath};
use grange_interfaces::{BuildError, Built, Job, Log, Stop};
use grange_model::Limits;

use crate::Step;
use crate::conformance::Workshop;
use crate::conformance::local_store::salt;

/// Long enough for every build of the suite.
const LIMITS: Limits = Limits {
    timeout_ms: 120_000,
    max_silent_ms: 120_000,
};

/// What came of a build.
pub(super) struct Outcome {
    pub(super) result: Result<Built, BuildError>,
    pub(super) log: Vec<u8>,
}

impl Outcome {
    pub(super) fn built(self) -> Built {
        let log = self.log.escape_ascii();
        self.result
            .unwrap_or_else(|error| panic!("{error:?}; its log: {log}"))
    }

    pub(super) fn error(self) -> BuildError {
        self.result.expect_err("it must not succeed")
    }
}

pub(super) fn write(output: &str, text: &str) -> Step {
    Step::Write {
        output: output.into(),
        text: text.into(),
    }
}

impl Workshop {
    /// A derivation that nobody has built yet.
    pub(super) fn begin(&self, name: &str, steps: &[Step]) -> grange_derivation::Builder {
        (self.derivation)(name, steps).env("SALT", salt())
    }

    pub(super) fn make(&self, name: &str, steps: &[Step]) -> Instantiated {
        instantiate(self.begin(name, steps))
    }

    /// What an agent would ask for. `needs` are the derivations that it has as inputs.
    pub(super) async fn job(&self, made: &Instantiated, needs: &[&Instantiated]) -> Job {
        let mut roots: Vec<StorePath> = made.derivation.input_sources.iter().cloned().collect();
        for need in needs {
            let wanted = &made.derivation.input_derivations[&need.path];
            roots.extend(
                wanted
                    .iter()
                    .map(|name| need.derivation.outputs[name].path.clone()),
            );
        }
        let mut known: BTreeMap<StorePath, Vec<StorePath>> = BTreeMap::new();
        let mut next = roots.clone();
        while !next.is_empty() {
            next.retain(|path| !known.contains_key(path));
            let found = self.store.query(&next).await.expect("it answers");
            let mut more = Vec::new();
            for (path, info) in next.into_iter().zip(found) {
                let mut references = info.map(|info| info.references).unwrap_or_default();
                references.retain(|it| *it != path);
                more.extend(references.iter().cloned());
                known.insert(path, references);
            }
            next = more;
        }
        let inputs = grange_derivation::graph::topological(roots, |path| {
            Ok::<_, Infallible>(known[path].clone())
        });
        Job {
            path: made.path.clone(),
            derivation: Arc::new(made.derivation.clone()),
            text: made.text.clone().into(),
            inputs: inputs.expect("a store has no circles"),
            limits: LIMITS,
            cores: 1,
        }
    }

    pub(super) async fn build(&self, made: &Instantiated, needs: &[&Instantiated]) -> Outcome {
        self.run(&self.job(made, needs).await, Stop::never()).await
    }

    pub(super) async fn run(&self, job: &Job, stop: Stop) -> Outcome {
        let (log, mut receiver) = Log::new(4);
        let read = async {
            let mut all = Vec::new();
            while let Some(piece) = receiver.next().await {
                all.extend_from_slice(&piece);
            }
            all
        };
        let (result, log) = join(self.builder.build(job, log, stop), read).await;
        Outcome { result, log }
    }

    /// Returns when a process with this word runs, or when none does any more.
    pub(super) async fn until_running(&self, word: &str, running: bool) {
        while (self.is_running)(word) != running {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn is_valid(&self, path: &StorePath) -> bool {
        crate::conformance::local_store::is_valid(&*self.store, path).await
    }

    pub(super) async fn nar(&self, path: &StorePath) -> Vec<u8> {
        crate::conformance::local_store::bytes_of_export(&*self.store, path).await
    }
}

pub(super) fn instantiate(author: grange_derivation::Builder) -> Instantiated {
    author.instantiate().expect("the derivation is one")
}

/// A word that no other process has in its command line.
pub(super) fn word() -> String {
    format!("conformance-{}", salt())
}

/// The output `out`.
pub(super) fn out(made: &Instantiated) -> &StorePath {
    made.output("out").expect("it has one")
}

/// Whether a process runs on this machine that has this word in its command line, and is none that
/// has ended. For [`Workshop::is_running`].
#[must_use]
pub fn runs_here(word: &str) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else {
        return false;
    };
    entries.flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(word.len()).any(|part| part == word.as_bytes())
    })
}
