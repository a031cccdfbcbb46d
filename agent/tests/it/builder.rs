//! A builder that does what it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use grange_derivation::StorePath;
use grange_interfaces::{BuildError, Builder, Built, Job, Log, MadeOutput, Offers, Stop};
use grange_model::FailureKind;

use crate::store::Store;

#[derive(Clone, Debug)]
pub(crate) enum Play {
    /// Says this, and makes outputs of this.
    Make(Vec<Bytes>, Vec<u8>),
    /// Says so many pieces of this, and makes outputs of nothing.
    Say(usize, Bytes),
    /// Exits with 1.
    Fail(Vec<Bytes>),
    /// Says this, and runs until it is stopped.
    Hang(Vec<Bytes>),
    /// Returns this.
    Return(BuildError),
    Panic,
}

#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) store: Arc<Store>,
    pub(crate) offers: Offers,
    /// By the derivation's name; `Make` without a word if there is none.
    pub(crate) plays: Mutex<BTreeMap<String, Play>>,
    /// What was built, in order.
    pub(crate) jobs: Mutex<Vec<Job>>,
    pub(crate) stopped: Mutex<usize>,
}

impl Player {
    fn make(&self, job: &Job, contents: &[u8]) -> Built {
        let outputs = job.derivation.outputs.iter().map(|(name, output)| {
            let info = self.store.add(&output.path, contents, &[]);
            MadeOutput {
                name: name.to_string(),
                path: output.path.clone(),
                nar_hash: info.nar_hash,
                nar_size: info.nar_size,
                references: Vec::new(),
            }
        });
        Built {
            outputs: outputs.collect(),
            peak_memory: None,
        }
    }

    pub(crate) fn built(&self) -> Vec<StorePath> {
        self.jobs
            .lock()
            .unwrap()
            .iter()
            .map(|job| job.path.clone())
            .collect()
    }
}

#[async_trait]
impl Builder for Player {
    fn offers(&self) -> Offers {
        self.offers.clone()
    }

    async fn build(&self, job: &Job, mut log: Log, stop: Stop) -> Result<Built, BuildError> {
        for input in &job.inputs {
            assert!(self.store.has(input), "{input} is valid");
        }
        for output in job.derivation.outputs.values() {
            assert!(!self.store.has(&output.path), "{} is absent", output.path);
        }
        self.jobs.lock().unwrap().push(job.clone());
        let name = job.derivation.name.to_string();
        let play = self.plays.lock().unwrap().get(&name).cloned();
        match play.unwrap_or(Play::Make(Vec::new(), name.into_bytes())) {
            Play::Make(pieces, contents) => {
                for piece in pieces {
                    log.write(piece).await;
                }
                Ok(self.make(job, &contents))
            }
            Play::Say(times, piece) => {
                for _ in 0..times {
                    log.write(piece.clone()).await;
                }
                Ok(self.make(job, b""))
            }
            Play::Fail(pieces) => {
                for piece in pieces {
                    log.write(piece).await;
                }
                let message = "the builder exited with 1".to_owned();
                Err(BuildError::Failed {
                    kind: FailureKind::Exit(1),
                    message,
                })
            }
            Play::Hang(pieces) => {
                for piece in pieces {
                    log.write(piece).await;
                }
                stop.stopped().await;
                *self.stopped.lock().unwrap() += 1;
                Err(BuildError::Stopped)
            }
            Play::Return(error) => Err(error),
            Play::Panic => panic!("a builder that panics, on purpose"),
        }
    }
}
