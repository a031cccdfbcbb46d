//! Each of these breaks one sentence of the contract, and the case for that sentence fails.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use grange_derivation::{StoreDir, nar};
use grange_interfaces::{
    BuildError, Builder, Built, ItemInfo, Job, LocalStore, Log, Offers, Stop, bytes_of,
};
use grange_model::{FailureKind, Limits, NarHash, SetupProblem};
use grange_testing::conformance::{BuilderBench, Workshop};
use grange_testing::{MemoryBuilder, MemoryLocalStore};
use sha2::{Digest, Sha256};

/// What is wrong with a builder.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing: no case fails.
    None,
    /// Says nothing of the last output.
    ForgetsOutputs,
    /// Says of every output that it has the hash of the first.
    MixesHashes,
    /// Says that nothing refers to anything.
    ForgetsReferences,
    /// Makes files of programs.
    LosesModes,
    /// Leaves out the first piece of the log.
    LosesLogs,
    /// Builds what lies there already.
    BuildsOver,
    /// Takes a missing input for one that another agent may have.
    BlamesItself,
    /// Says of every failure that it was another one.
    DropsStatus,
    /// Knows but success and failure: every status is 1.
    RoundsStatus,
    /// Makes half of what failed valid.
    LeavesHalf,
    /// Makes the outputs valid that are there, where others are not.
    LeavesParts,
    /// Takes outputs of any hash.
    BelievesHashes,
    /// Takes every hash for one of the contents of a file.
    HashesContents,
    /// Leaves processes running.
    LeavesProcesses,
    /// Goes on when it is told to stop.
    IgnoresStops,
    /// Begins what was stopped before.
    BeginsStopped,
    /// Goes on when it is dropped.
    IgnoresDrops,
    /// Lets builds run as long as they like.
    IgnoresTimeouts,
    /// Lets builds be silent as long as they like.
    IgnoresSilence,
    /// Builds one after the other.
    OneAtATime,
    /// Offers nothing.
    OffersNothing,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryBuilder,
    store: MemoryLocalStore,
    defect: Defect,
    turn: tokio::sync::Mutex<()>,
    /// The words of processes that are left.
    left: Arc<Mutex<Vec<String>>>,
}

struct Bench(Defect);

impl BuilderBench for Bench {
    async fn open(&self) -> Option<Workshop> {
        let store = MemoryLocalStore::new(StoreDir::guix());
        let builder = MemoryBuilder::new(store.clone());
        let (author, processes) = (builder.clone(), builder.clone());
        let left: Arc<Mutex<Vec<String>>> = Arc::default();
        let broken = Broken {
            inner: builder,
            store: store.clone(),
            defect: self.0,
            turn: tokio::sync::Mutex::default(),
            left: Arc::clone(&left),
        };
        Some(Workshop {
            builder: Arc::new(broken),
            store: Arc::new(store),
            derivation: Box::new(move |name, steps| author.derivation(name, steps)),
            is_running: Box::new(move |word| {
                let left = left.lock().unwrap();
                processes.is_running(word) || left.iter().any(|it| it == word)
            }),
            guard: Box::new(()),
        })
    }
}

impl Broken {
    /// Puts a file where an output belongs.
    async fn put(&self, job: &Job, contents: &[u8]) {
        for output in job.derivation.outputs.values() {
            let nar = nar::of_file(contents);
            let info = ItemInfo {
                path: output.path.clone(),
                nar_hash: NarHash(Sha256::digest(&nar).into()),
                nar_size: nar.len() as u64,
                references: Vec::new(),
                deriver: None,
            };
            let body = stream::iter([Ok(nar.into())]).boxed();
            self.store.import(&info, body).await.unwrap();
        }
    }

    /// The words of this build's processes: those in its steps.
    fn words(job: &Job) -> Vec<String> {
        let steps = &job.derivation.env[&b"steps"[..]];
        let steps: Vec<grange_testing::Step> = grange_model::decode(steps).unwrap();
        let word = |step| match step {
            grange_testing::Step::Leave(word) => Some(word),
            _ => None,
        };
        steps.into_iter().filter_map(word).collect()
    }

    fn change(&self, mut built: Built) -> Built {
        match self.defect {
            Defect::ForgetsOutputs if built.outputs.len() > 1 => {
                built.outputs.pop();
            }
            Defect::MixesHashes => {
                let first = built.outputs[0].nar_hash;
                for output in &mut built.outputs {
                    output.nar_hash = first;
                }
            }
            Defect::ForgetsReferences => {
                for output in &mut built.outputs {
                    output.references.clear();
                }
            }
            _ => {}
        }
        built
    }
}

/// Whether it has failed because an output is missing.
fn is_missing(done: &Result<Built, BuildError>) -> bool {
    let kind = match done {
        Err(BuildError::Failed { kind, .. }) => Some(kind),
        _ => None,
    };
    matches!(kind, Some(FailureKind::MissingOutput(_)))
}

#[async_trait]
impl Builder for Broken {
    fn offers(&self) -> Offers {
        match self.defect {
            Defect::OffersNothing => Offers::default(),
            _ => self.inner.offers(),
        }
    }

    async fn build(&self, job: &Job, log: Log, stop: Stop) -> Result<Built, BuildError> {
        let mut job = job.clone();
        let limits = job.limits;
        let was_stopped = stop.is_stopped();
        let stop = match self.defect {
            Defect::IgnoresStops => Stop::never(),
            Defect::BeginsStopped if was_stopped => Stop::never(),
            _ => stop,
        };
        match self.defect {
            Defect::IgnoresTimeouts => {
                job.limits = Limits {
                    timeout_ms: u64::from(u32::MAX),
                    ..limits
                };
            }
            Defect::IgnoresSilence => {
                job.limits = Limits {
                    max_silent_ms: u64::from(u32::MAX),
                    ..limits
                };
            }
            Defect::BelievesHashes | Defect::HashesContents => {
                let derivation = Arc::make_mut(&mut job.derivation);
                for output in derivation.outputs.values_mut() {
                    if self.defect == Defect::BelievesHashes {
                        output.fixed = None;
                    } else if let Some(fixed) = &mut output.fixed {
                        fixed.recursive = false;
                    }
                }
            }
            Defect::BuildsOver => {
                for output in job.derivation.outputs.values() {
                    self.store.delete(&output.path).await.unwrap();
                }
            }
            _ => {}
        }
        let _turn = match self.defect {
            Defect::OneAtATime => Some(self.turn.lock().await),
            _ => None,
        };
        let log = match self.defect {
            Defect::LosesLogs => {
                let (inner, mut receiver) = Log::new(4);
                let mut outer = log;
                tokio::spawn(async move {
                    receiver.next().await;
                    while let Some(piece) = receiver.next().await {
                        outer.write(piece).await;
                    }
                });
                inner
            }
            _ => log,
        };
        let (inner, given) = (self.inner.clone(), job.clone());
        let build = async move { inner.build(&given, log, stop).await };
        let done = match self.defect {
            Defect::IgnoresDrops => tokio::spawn(build).await.unwrap(),
            _ => build.await,
        };
        match self.defect {
            Defect::LeavesProcesses => {
                self.left.lock().unwrap().extend(Self::words(&job));
            }
            Defect::LeavesHalf if matches!(done, Err(BuildError::Failed { .. })) => {
                self.put(&job, b"half").await;
            }
            Defect::LeavesParts if is_missing(&done) => self.put(&job, b"half").await,
            Defect::LosesModes if done.is_ok() => {
                for output in job.derivation.outputs.values() {
                    let nar = self.store.export(&output.path).await.unwrap();
                    let nar = bytes_of(nar, usize::MAX).await.unwrap();
                    let entries = nar::list(&mut &nar[..]).unwrap();
                    if format!("{entries:?}").contains("executable: true") {
                        self.store.delete(&output.path).await.unwrap();
                        self.put(&job, b"#!/bin/sh\n").await;
                    }
                }
            }
            _ => {}
        }
        match done {
            Ok(built) => Ok(self.change(built)),
            Err(BuildError::Failed {
                kind: FailureKind::Exit(_),
                message,
            }) if self.defect == Defect::RoundsStatus => {
                let kind = FailureKind::Exit(1);
                Err(BuildError::Failed { kind, message })
            }
            Err(BuildError::Failed { message, .. }) if self.defect == Defect::DropsStatus => {
                let kind = FailureKind::Other;
                Err(BuildError::Failed { kind, message })
            }
            Err(BuildError::Setup {
                problem: SetupProblem::MissingInputs(_),
                message,
            }) if self.defect == Defect::BlamesItself => {
                let problem = SetupProblem::Other;
                Err(BuildError::Setup { problem, message })
            }
            Err(error) => Err(error),
        }
    }
}

crate::found! {
    builder, |defect| Bench(defect);
    none: None => [];
    a_forgotten_output: ForgetsOutputs => [a_build_makes_its_outputs];
    mixed_hashes: MixesHashes => [outputs_are_as_they_lie_in_the_store];
    forgotten_references: ForgetsReferences => [outputs_are_as_they_lie_in_the_store];
    a_lost_mode: LosesModes => [outputs_are_canonical];
    a_lost_line: LosesLogs => [
        what_it_says_arrives,
        a_failure_says_how_and_leaves_nothing,
    ];
    an_output_that_is_built_over: BuildsOver => [an_output_in_the_way_is_a_setup_failure];
    an_input_that_is_not_named: BlamesItself => [a_missing_input_is_a_setup_failure];
    a_rounded_status: RoundsStatus => [a_failure_says_how_and_leaves_nothing];
    a_part_of_the_outputs: LeavesParts => [a_missing_output_is_a_failure];
    a_believed_hash: BelievesHashes => [a_wrong_hash_is_a_failure];
    a_hash_of_something_else: HashesContents => [a_fixed_output_has_its_hash];
    a_dropped_status: DropsStatus => [
        a_failure_says_how_and_leaves_nothing,
        a_missing_output_is_a_failure,
        a_wrong_hash_is_a_failure,
        who_runs_too_long_is_ended,
        who_is_silent_too_long_is_ended,
    ];
    half_an_output: LeavesHalf => [
        a_failure_says_how_and_leaves_nothing,
        a_missing_output_is_a_failure,
        a_wrong_hash_is_a_failure,
        who_runs_too_long_is_ended,
        who_is_silent_too_long_is_ended,
    ];
    a_process_that_is_left: LeavesProcesses => [nothing_is_left_of_a_build];
    an_ignored_stop: IgnoresStops => [
        a_build_stops_when_told_to,
        a_build_that_was_stopped_does_not_begin,
        builds_run_at_once,
    ];
    a_stop_that_comes_too_early: BeginsStopped => [a_build_that_was_stopped_does_not_begin];
    a_swallowed_cancellation: IgnoresDrops => [nothing_is_left_of_a_dropped_build];
    an_ignored_timeout: IgnoresTimeouts => [who_runs_too_long_is_ended];
    an_ignored_silence: IgnoresSilence => [who_is_silent_too_long_is_ended];
    one_build_at_a_time: OneAtATime => [builds_run_at_once];
    an_offer_of_nothing: OffersNothing => [a_build_makes_its_outputs];
}
