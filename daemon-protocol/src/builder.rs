//! Building with a daemon.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::{StreamExt, stream};
use grange_derivation::StorePath;
use grange_interfaces::{
    BuildError, Builder, Built, Job, LocalStore, LocalStoreError, Log, MadeOutput, Offers, Stop,
};
use grange_model::{Digest, FailureKind, SetupProblem};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::config::BuilderConfig;
use crate::connection::Connection;
use crate::dialect::{Options, Outcome, Seen, Watch};
use crate::error::DaemonError;
use crate::incoming::text_item;
use crate::pool::Lease;
use crate::store::DaemonStore;
use crate::verdict::{Ending, setup};
use crate::wire::Frame;

/// The most seconds that daemons take for a limit; that is longer than anybody waits.
const NO_LIMIT: u64 = i32::MAX as u64;

/// Bytes of log that are passed on at once.
const PIECE: usize = 64 << 10;
/// Between two questions for a build user.
const PAUSE: Duration = Duration::from_millis(250);

/// Builds with a running guix-daemon or nix-daemon, into its store.
///
/// Each build has a connection for itself, which is closed when the build fails, is stopped or is dropped: then the daemon
/// kills what is left of it. After a build that went well others may use it.
#[derive(Clone, Debug)]
pub struct DaemonBuilder {
    store: Arc<DaemonStore>,
    config: Arc<BuilderConfig>,
    room: Arc<Semaphore>,
}

impl DaemonBuilder {
    /// A builder for this store.
    #[must_use]
    pub fn new(store: Arc<DaemonStore>, config: BuilderConfig) -> Self {
        let room = usize::try_from(config.max_parallel_builds).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            store,
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
            config: Arc::new(config),
        }
    }

    /// Makes sure that all is there that has to be, and nothing that must not be.
    async fn prepare(&self, job: &Job) -> Result<(), BuildError> {
        let derivation = &job.derivation;
        if derivation.store != *self.store.store_dir() {
            let message = format!(
                "the derivation is for the store {}, not for this daemon's",
                derivation.store
            );
            return Err(setup(SetupProblem::Unsupported, message));
        }
        let outputs = derivation.outputs.values().map(|output| &output.path);
        let outputs: Vec<_> = outputs.cloned().collect();
        let mut wanted = job.inputs.clone();
        if self.store.wants_derivations() {
            wanted.extend(derivation.references());
        }
        let asked: Vec<_> = outputs.iter().chain(&wanted).cloned().collect();
        let mut connection = self.store.pool().lease().await.map_err(unusable)?;
        let valid = self.store.valid_on(&mut connection, &asked).await;
        let valid = valid.map_err(unusable)?;
        connection.done();
        if let Some(output) = outputs.iter().find(|output| valid.contains(*output)) {
            let message = format!("the output {output} is valid already");
            return Err(setup(SetupProblem::OutputsInTheWay, message));
        }
        wanted.retain(|path| !valid.contains(path));
        if !wanted.is_empty() {
            return Err(missing(&wanted));
        }
        if self.store.wants_derivations() {
            self.add_derivation(job).await?;
        }
        Ok(())
    }

    async fn add_derivation(&self, job: &Job) -> Result<(), BuildError> {
        let references = job.derivation.references().into_iter().collect();
        let (info, nar) = text_item(&job.path, &job.text, references);
        let body = stream::iter([Ok(nar)]).boxed();
        let added = self.store.import(&info, body).await;
        added.map_err(|error| match error {
            LocalStoreError::MissingReference { reference, .. } => missing(&[reference]),
            LocalStoreError::Full => setup(SetupProblem::DiskFull, error.to_string()),
            error => setup(
                SetupProblem::Other,
                format!("the derivation cannot be added to the store: {error}"),
            ),
        })
    }

    async fn run(&self, job: &Job, log: Log) -> Result<Built, BuildError> {
        let room = self.room.acquire().await;
        let outputs = job.derivation.outputs.values().map(|output| &output.path);
        let outputs: Vec<_> = outputs.cloned().collect();
        let mut held = job.inputs.clone();
        held.push(job.path.clone());
        held.extend(outputs.iter().cloned());
        // From here on until the build has ended, and outputs and inputs for the time to linger after that.
        let hold = self.store.roots().hold(&held).await.map_err(unusable)?;
        self.prepare(job).await?;
        let began = Instant::now();
        let outcome = loop {
            match self.attempt(job, &log).await? {
                Ok(()) => break Ok(()),
                Err(ending)
                    if ending.lacks_users() && began.elapsed() < self.config.wait_for_users =>
                {
                    debug!(derivation = %job.path, "waiting for a build user");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(ending) => break Err(ending.error(&job.derivation)),
            }
        };
        let made = match outcome {
            Ok(()) => self.made(job, &outputs).await,
            Err(error) => Err(error),
        };
        drop((hold, room));
        made
    }

    /// Asks the daemon once.
    async fn attempt(&self, job: &Job, log: &Log) -> Result<Result<(), Ending>, BuildError> {
        let options = options(job);
        let spare = self.store.config().patience;
        // A builder may be silent for as long as its limit says.
        let patience = Duration::from_secs(options.max_silent_seconds).saturating_add(spare);
        let timeout = Duration::from_secs(options.timeout_seconds);
        let speech = self.store.speech();
        let mut connection = self.connect(&options, patience).await.map_err(unusable)?;
        let mut following = Following {
            watch: speech.watch(&job.path),
            log: log.clone(),
            output: BytesMut::new(),
            deadline: timeout.saturating_add(spare),
            began: None,
            ending: Ending {
                timeout,
                ..Ending::default()
            },
        };
        connection
            .send(&speech.build(job))
            .await
            .map_err(unusable)?;
        let followed = following.follow(&mut connection).await;
        following.flush().await;
        let outcome = match followed? {
            Some(outcome) => outcome,
            None => {
                let version = connection.version();
                let read = connection
                    .read(|cursor| speech.outcome(version, cursor))
                    .await;
                read.map_err(unusable)?
            }
        };
        if outcome.built {
            // All was read: the next build saves the daemon a process and its database a reader.
            connection.done();
            Ok(Ok(()))
        } else {
            Ok(Err(following.end(outcome)))
        }
    }

    /// A connection for a build with these options: one that was used before, if the daemon still answers on it.
    async fn connect(&self, options: &Options, patience: Duration) -> Result<Lease, DaemonError> {
        let options = self.store.speech().options(options);
        let pool = self.store.pool();
        let mut used = pool.lease().await?;
        used.set_patience(patience);
        if used.call(&options).await.is_ok() {
            return Ok(used);
        }
        let mut fresh = pool.fresh().await?;
        fresh.set_patience(patience);
        fresh.call(&options).await?;
        Ok(fresh)
    }

    async fn made(&self, job: &Job, outputs: &[StorePath]) -> Result<Built, BuildError> {
        let found = self.store.query(outputs).await.map_err(|error| {
            let message = format!("the outputs cannot be looked at: {error}");
            setup(SetupProblem::Other, message)
        })?;
        let mut made = Vec::with_capacity(outputs.len());
        for ((name, output), info) in job.derivation.outputs.iter().zip(found) {
            let Some(info) = info else {
                let message = format!(
                    "the daemon says that it has built {}, and the output {} is not valid",
                    job.path, output.path
                );
                return Err(setup(SetupProblem::Other, message));
            };
            made.push(MadeOutput {
                name: name.to_string(),
                path: info.path,
                nar_hash: info.nar_hash,
                nar_size: info.nar_size,
                references: info.references,
            });
        }
        Ok(Built {
            outputs: made,
            // Builders are the daemon's children, and it does not say.
            peak_memory: None,
        })
    }
}

#[async_trait]
impl Builder for DaemonBuilder {
    fn offers(&self) -> Offers {
        Offers {
            systems: self.config.systems.clone(),
            features: self.config.features.clone(),
            max_parallel_builds: Some(self.config.max_parallel_builds),
            derivations: self.store.wants_derivations(),
        }
    }

    async fn build(&self, job: &Job, log: Log, stop: Stop) -> Result<Built, BuildError> {
        tokio::select! {
            biased;
            () = stop.stopped() => Err(BuildError::Stopped),
            result = self.run(job, log) => result,
        }
    }
}

/// A build that runs.
struct Following {
    watch: Box<dyn Watch>,
    log: Log,
    /// What the builder said and the log does not have yet.
    output: BytesMut,
    /// How long it may run before the daemon is taken for one that keeps no limits.
    deadline: Duration,
    began: Option<Instant>,
    ending: Ending,
}

impl Following {
    /// Follows it to its end. None if the result follows.
    async fn follow(&mut self, connection: &mut Connection) -> Result<Option<Outcome>, BuildError> {
        loop {
            let frame = match self.began.and_then(|it| it.checked_add(self.deadline)) {
                Some(end) => timeout_at(end, connection.frame()).await,
                None => Ok(connection.frame().await),
            };
            let frame = match frame {
                Ok(Ok(frame)) => frame,
                Ok(Err(DaemonError::Stalled { .. })) if self.began.is_some() => {
                    let message = "the builder said nothing, and the daemon did not stop it";
                    return Err(overrun(FailureKind::Silence, message));
                }
                Ok(Err(error)) => return Err(unusable(error)),
                Err(_) => {
                    let message = "the builder ran too long, and the daemon did not stop it";
                    return Err(overrun(FailureKind::Timeout, message));
                }
            };
            match frame {
                Frame::Last => return Ok(None),
                Frame::Error { message, status } => {
                    return Ok(Some(Outcome {
                        message,
                        timed_out: status == Some(101),
                        ..Outcome::default()
                    }));
                }
                frame => {
                    self.see(frame)?;
                    // A nix-daemon sends each line by itself: what comes together goes on together.
                    if connection.is_drained() || self.output.len() >= PIECE {
                        self.flush().await;
                    }
                }
            }
        }
    }

    async fn flush(&mut self) {
        if !self.output.is_empty() {
            self.log.write(self.output.split().freeze()).await;
        }
    }

    fn see(&mut self, frame: Frame) -> Result<(), BuildError> {
        let seen = self.watch.see(frame);
        for seen in seen.map_err(|error| unusable(error.into()))? {
            match seen {
                Seen::Started => {
                    self.began.get_or_insert_with(Instant::now);
                    self.ending.started = true;
                }
                Seen::Output(bytes) => self.output.extend_from_slice(&bytes),
                Seen::Foreign(what) => {
                    let message = format!("the daemon {what}, which it was not told to");
                    return Err(setup(SetupProblem::Other, message));
                }
                Seen::Failed { message, timed_out } => {
                    self.ending.message = message;
                    self.ending.timed_out |= timed_out;
                }
                Seen::Mismatch(hashes) => self.ending.mismatch = Some(hashes),
                Seen::Said(said) if !said.is_empty() => self.ending.said = said,
                Seen::Said(_) => {}
            }
        }
        Ok(())
    }

    /// All that is known in the end.
    fn end(mut self, outcome: Outcome) -> Ending {
        let ending = &mut self.ending;
        ending.took = self.began.map(|began| began.elapsed()).unwrap_or_default();
        ending.timed_out |= outcome.timed_out;
        ending.rejected |= outcome.rejected;
        // With Guix the result names the derivation and nothing else, if the log has said why.
        let is_said = ending.timed_out && !ending.said.is_empty();
        if ending.message.is_empty() && !is_said {
            ending.message = outcome.message;
        }
        self.ending
    }
}

fn options(job: &Job) -> Options {
    let seconds = |ms: u64| ms.div_ceil(1000).clamp(1, NO_LIMIT);
    Options {
        timeout_seconds: seconds(job.limits.timeout_ms),
        max_silent_seconds: seconds(job.limits.max_silent_ms),
        cores: job.cores,
    }
}

fn overrun(kind: FailureKind, message: &str) -> BuildError {
    BuildError::Failed {
        kind,
        message: message.to_owned(),
    }
}

/// The daemon, not the build.
fn unusable(error: DaemonError) -> BuildError {
    let problem = if error.is_full() {
        SetupProblem::DiskFull
    } else {
        SetupProblem::Other
    };
    setup(problem, error.full())
}

fn missing(paths: &[StorePath]) -> BuildError {
    let names: Vec<_> = paths.iter().map(ToString::to_string).collect();
    let digests = paths.iter().map(|path| Digest(*path.digest())).collect();
    setup(
        SetupProblem::MissingInputs(digests),
        format!("not valid in the daemon's store: {}", names.join(", ")),
    )
}
