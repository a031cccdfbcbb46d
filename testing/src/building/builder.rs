//! Builds that take a few steps.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use grange_derivation::{Builder as Author, StorePath, nar};
use grange_interfaces::{
    BuildError, Builder, Built, ItemInfo, Job, LocalStore, Log, MadeOutput, Offers, Stop, bytes_of,
};
use grange_model::{Digest, FailureKind, NarHash, SetupProblem, decode, encode};
use sha2::Digest as _;
use tokio::time::Instant;

use super::MemoryLocalStore;
use super::step::Step;

const SYSTEM: &str = "x86_64-linux";
/// The largest input that can be copied, in bytes.
const LARGEST: usize = 64 << 20;

/// A [`Builder`] in memory, for tests: it builds into a [`MemoryLocalStore`] what
/// [`Self::derivation`] writes.
#[derive(Clone)]
pub struct MemoryBuilder {
    store: MemoryLocalStore,
    processes: Processes,
}

/// The words of processes that run.
type Processes = Arc<Mutex<Vec<String>>>;

/// A process that runs as long as this lives.
struct Process(Processes, String);

impl Process {
    fn start(all: &Processes, word: &str) -> Self {
        let mut running = all.lock().unwrap_or_else(PoisonError::into_inner);
        running.push(word.to_owned());
        Self(Arc::clone(all), word.to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = running.iter().position(|word| *word == self.1) {
            running.remove(at);
        }
    }
}

impl MemoryBuilder {
    /// A builder for this store.
    #[must_use]
    pub fn new(store: MemoryLocalStore) -> Self {
        Self {
            store,
            processes: Arc::default(),
        }
    }

    /// The beginnings of a derivation that takes these steps.
    ///
    /// # Panics
    ///
    /// Never: steps can be encoded.
    pub fn derivation(&self, name: &str, steps: &[Step]) -> Author {
        let steps = encode(&steps.to_vec()).expect("steps can be encoded");
        Author::new(self.store.store_dir(), name, SYSTEM, "builtin:steps").env("steps", steps)
    }

    /// Whether a process with this word runs.
    #[must_use]
    pub fn is_running(&self, word: &str) -> bool {
        let running = self
            .processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        running.iter().any(|it| it == word)
    }

    /// Sees that inputs are valid and outputs are not, and says what is to be done.
    async fn prepare(&self, job: &Job) -> Result<Vec<Step>, BuildError> {
        let setup = |problem, message: &str| BuildError::Setup {
            problem,
            message: message.into(),
        };
        let failed = |_| setup(SetupProblem::Other, "the store failed");
        let found = self.store.query(&job.inputs).await.map_err(failed)?;
        let missing = job
            .inputs
            .iter()
            .zip(found)
            .filter(|(_, info)| info.is_none());
        let missing: Vec<_> = missing.map(|(path, _)| Digest(*path.digest())).collect();
        if !missing.is_empty() {
            let problem = SetupProblem::MissingInputs(missing);
            return Err(setup(problem, "inputs are not valid"));
        }
        let outputs: Vec<_> = job
            .derivation
            .outputs
            .values()
            .map(|it| it.path.clone())
            .collect();
        let found = self.store.query(&outputs).await.map_err(failed)?;
        if found.iter().any(Option::is_some) {
            return Err(setup(SetupProblem::OutputsInTheWay, "outputs are valid"));
        }
        let steps = job.derivation.env.get(&b"steps"[..]);
        let steps = steps.and_then(|bytes| decode(bytes).ok());
        steps.ok_or_else(|| setup(SetupProblem::Unsupported, "it takes no steps"))
    }
}

impl fmt::Debug for MemoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBuilder")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

fn failed(kind: FailureKind, message: impl Into<String>) -> BuildError {
    BuildError::Failed {
        kind,
        message: message.into(),
    }
}

/// A build that runs.
struct Running<'a> {
    builder: &'a MemoryBuilder,
    job: &'a Job,
    log: Log,
    began: Instant,
    said: Instant,
    /// What it has made so far, by the names of the outputs.
    made: BTreeMap<String, Vec<u8>>,
    left: Vec<Process>,
}

impl Running<'_> {
    fn path(&self, output: &str) -> Option<&StorePath> {
        self.job.derivation.outputs.get(output).map(|it| &it.path)
    }

    async fn say(&mut self, line: String) {
        self.log.write(Bytes::from(line)).await;
        self.said = Instant::now();
    }

    async fn take(&mut self, step: Step) -> Result<(), BuildError> {
        match step {
            Step::Say(line) => self.say(format!("{line}\n")).await,
            Step::Count(last) => {
                for number in 1..=last {
                    self.say(format!("{number}\n")).await;
                }
            }
            Step::Write { output, text } => {
                self.made.insert(output, nar::of_file(text.as_bytes()));
            }
            Step::Program { output, text } => {
                let mut encoder = nar::Encoder::new(Vec::new());
                let written = encoder
                    .regular(true, text.len() as u64)
                    .and_then(|()| encoder.data(text.as_bytes()))
                    .and_then(|()| encoder.finish());
                let bad = |_| failed(FailureKind::BadOutput, "it cannot be packed");
                self.made.insert(output, written.map_err(bad)?.0);
            }
            Step::Refer { output, to } => {
                let path = self.path(&to).map(ToString::to_string).unwrap_or_default();
                self.made.insert(output, nar::of_file(path.as_bytes()));
            }
            Step::Copy { output, from } => {
                let gone = || failed(FailureKind::Exit(1), format!("there is no {from}"));
                let path = StorePath::parse_any(&from).map_err(|_| gone())?;
                let seen = self.job.inputs.contains(&path);
                let path = seen.then_some(path).ok_or_else(gone)?;
                let nar = self.builder.store.export(&path).await.map_err(|_| gone())?;
                let nar = bytes_of(nar, LARGEST).await.map_err(|_| gone())?;
                self.made.insert(output, nar.to_vec());
            }
            Step::Wait(word) => {
                let _process = Process::start(&self.builder.processes, &word);
                let limits = self.job.limits;
                let timeout = self.began + Duration::from_millis(limits.timeout_ms);
                let silence = self.said + Duration::from_millis(limits.max_silent_ms);
                tokio::select! {
                    () = tokio::time::sleep_until(timeout) => {
                        return Err(failed(FailureKind::Timeout, "it ran too long"));
                    }
                    () = tokio::time::sleep_until(silence) => {
                        return Err(failed(FailureKind::Silence, "it said nothing"));
                    }
                    () = tokio::time::sleep(Duration::from_mins(10)) => {}
                }
            }
            Step::Leave(word) => {
                self.left
                    .push(Process::start(&self.builder.processes, &word));
            }
            Step::Exit(0) => {}
            Step::Exit(status) => {
                let message = format!("the builder exited with status {status}");
                return Err(failed(FailureKind::Exit(status), message));
            }
        }
        Ok(())
    }

    /// Looks at the outputs, and makes them valid.
    async fn finish(mut self) -> Result<Built, BuildError> {
        let derivation = &self.job.derivation;
        let mut infos = Vec::new();
        for (name, output) in &derivation.outputs {
            let Some(nar) = self.made.remove(&name.to_string()) else {
                let kind = FailureKind::MissingOutput(name.to_string());
                return Err(failed(kind, format!("there is no output {name}")));
            };
            if let Some(fixed) = &output.fixed {
                // Of flat ones, only what stands for the contents of a file.
                let contents = if fixed.recursive {
                    &nar[..]
                } else {
                    contents(&nar)
                };
                if fixed.hash != grange_derivation::Hash::sha256(contents) {
                    let message = format!("the output has another hash than {}", fixed.hash);
                    return Err(failed(FailureKind::HashMismatch, message));
                }
            }
            let outputs = derivation.outputs.values().map(|it| &it.path);
            let mut references: Vec<_> = self.job.inputs.iter().chain(outputs).collect();
            references.retain(|path| {
                let hash = path.hash_part();
                nar.windows(hash.len()).any(|it| it == hash.as_bytes())
            });
            references.sort();
            references.dedup();
            let info = ItemInfo {
                path: output.path.clone(),
                nar_hash: NarHash(sha2::Sha256::digest(&nar).into()),
                nar_size: nar.len() as u64,
                references: references.into_iter().cloned().collect(),
                deriver: Some(self.job.path.clone()),
            };
            infos.push((name.to_string(), info, nar));
        }
        // References first; there are no circles but of an output with itself.
        let mut left: Vec<_> = infos.iter().collect();
        while !left.is_empty() {
            let before = left.len();
            let mut next = Vec::new();
            for (name, info, nar) in left {
                let body = stream::iter([Ok(Bytes::from(nar.clone()))]).boxed();
                if self.builder.store.import(info, body).await.is_err() {
                    next.push((name, info, nar));
                }
            }
            if next.len() == before {
                return Err(failed(
                    FailureKind::BadOutput,
                    "outputs refer to each other",
                ));
            }
            left = infos
                .iter()
                .filter(|it| next.iter().any(|(name, ..)| **name == it.0))
                .collect();
        }
        let outputs = infos.into_iter().map(|(name, info, _)| MadeOutput {
            name,
            path: info.path,
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
            references: info.references,
        });
        Ok(Built {
            outputs: outputs.collect(),
            peak_memory: None,
        })
    }
}

/// What the file of a nar consists of.
fn contents(nar: &[u8]) -> &[u8] {
    let Ok(entries) = nar::list(&mut &nar[..]) else {
        return nar;
    };
    match entries.first().map(|entry| &entry.kind) {
        Some(nar::Kind::Regular { size, offset, .. }) => {
            let range = *offset as usize..(*offset + *size) as usize;
            nar.get(range).unwrap_or_default()
        }
        _ => nar,
    }
}

#[async_trait]
impl Builder for MemoryBuilder {
    fn offers(&self) -> Offers {
        Offers {
            systems: vec![SYSTEM.into()],
            ..Offers::default()
        }
    }

    async fn build(&self, job: &Job, log: Log, stop: Stop) -> Result<Built, BuildError> {
        if stop.is_stopped() {
            return Err(BuildError::Stopped);
        }
        let steps = self.prepare(job).await?;
        let _held = self.store.hold(&job.inputs);
        let now = Instant::now();
        let mut running = Running {
            builder: self,
            job,
            log,
            began: now,
            said: now,
            made: BTreeMap::new(),
            left: Vec::new(),
        };
        let work = async {
            for step in steps {
                running.take(step).await?;
            }
            running.finish().await
        };
        tokio::select! {
            biased;
            () = stop.stopped() => Err(BuildError::Stopped),
            done = work => done,
        }
    }
}
