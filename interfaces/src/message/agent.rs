//! What agents say and are told.

use grange_model::{AttemptId, BuildId, FailureKind, Limits, Resources, SessionId, Tags, Usage};
use serde::{Deserialize, Serialize};

use super::ItemView;

/// How far an attempt has come on its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Waits for room, or fetches its inputs.
    Preparing,
    /// The builder runs.
    Building,
    /// The outputs are on their way.
    Uploading,
}

/// An attempt that an agent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAttempt {
    /// Which.
    pub attempt: AttemptId,
    /// How far it is.
    pub phase: Phase,
}

/// What an agent can take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Systems that it builds for.
    pub systems: Vec<String>,
    /// What it offers.
    pub tags: Tags,
    /// Keys of these: only builds that require them come here.
    pub exclusive: Vec<String>,
    /// How many builds may run at once.
    pub parallel: u32,
    /// How many more it takes, so that their inputs are there when room is.
    pub ahead: u32,
    /// How much it has of what builds use up: `cores`, `memory` and `disk` in bytes, tokens of any name.
    #[serde(default)]
    pub resources: Resources,
    /// When it wants nothing new.
    #[serde(default)]
    pub admission: Admission,
    /// How fast it builds in comparison with others, in thousandths; 0 for 1,000.
    #[serde(default)]
    pub speed: u32,
}

/// When an agent wants nothing new, however much room it has. What is none does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Above this load, in hundredths.
    #[serde(default)]
    pub max_load: Option<u32>,
    /// Above this pressure on processors, in hundredths of a percent.
    #[serde(default)]
    pub max_cpu_pressure: Option<u32>,
    /// Above this pressure on memory, in hundredths of a percent.
    #[serde(default)]
    pub max_memory_pressure: Option<u32>,
    /// Above this pressure on disks, in hundredths of a percent.
    #[serde(default)]
    pub max_io_pressure: Option<u32>,
    /// With fewer bytes free where it builds.
    #[serde(default)]
    pub min_disk_free: Option<u64>,
}

/// How an agent's machine does, beside its load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// In which share of the last ten seconds somebody waited for a processor, in hundredths of a percent
    /// (`some avg10` of Linux' `/proc/pressure/cpu`).
    #[serde(default)]
    pub cpu_pressure: u32,
    /// In which all waited for memory (`full avg10` of `/proc/pressure/memory`).
    #[serde(default)]
    pub memory_pressure: u32,
    /// In which all waited for disks (`full avg10` of `/proc/pressure/io`).
    #[serde(default)]
    pub io_pressure: u32,
    /// Bytes that are free where it builds; none if it does not know.
    #[serde(default)]
    pub disk_free: Option<u64>,
}

/// An agent's whole truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeRequest {
    /// The run of the agent process. A greater one makes the earlier ones void.
    pub session: SessionId,
    /// Counts the exchanges of the session; an older one than the newest seen is refused.
    pub revision: u64,
    /// What it can take.
    pub capacity: Capacity,
    /// The 1-minute load average in hundredths.
    pub load: u32,
    /// How its machine does beside that.
    #[serde(default)]
    pub health: Health,
    /// Every attempt that it holds.
    pub attempts: Vec<HeldAttempt>,
    /// How long to wait for something to do, in milliseconds; at most 60,000.
    pub wait_ms: u64,
}

/// An attempt that an agent shall make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Which.
    pub attempt: AttemptId,
    /// The derivation's path.
    pub derivation: String,
    /// The builds that it may end.
    pub builds: Vec<BuildId>,
    /// How long it may take.
    pub limits: Limits,
}

/// What an agent is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeAnswer {
    /// Attempts to make: new ones, and those that the coordinator counts on and the agent did not
    /// name.
    pub assign: Vec<Assignment>,
    /// Attempts that nobody wants any more: stop them, forget them.
    pub drop: Vec<AttemptId>,
    /// How long the coordinator counts on the agent without hearing of it, in milliseconds.
    pub lease_ms: u64,
}

/// What an agent needs for an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAnswer {
    /// The derivation's path.
    pub derivation: String,
    /// Its text; bytes, in base64.
    pub text: String,
    /// Every item that the build may see and that is available here, references first.
    pub inputs: Vec<ItemView>,
    /// Input outputs that are not available here.
    pub missing: Vec<String>,
}

/// An output as an agent made and sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedOutput {
    /// `out`, `lib`, …
    pub name: String,
    /// SHA-256 of the compressed file that was sent.
    pub file_hash: String,
    /// Bytes of that file.
    pub file_size: u64,
    /// SHA-256 of the nar, which the coordinator computes again.
    pub nar_hash: String,
    /// Bytes of the nar, which the coordinator counts again.
    pub nar_size: u64,
    /// Paths that the output refers to, which the coordinator finds again.
    pub references: Vec<String>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Report {
    /// Every output was made and sent.
    Succeeded {
        /// All of them.
        outputs: Vec<ReportedOutput>,
        /// Bytes of the whole log, uncompressed.
        log_size: u64,
        /// What it used.
        #[serde(default)]
        usage: Usage,
    },
    /// The builder ran and failed.
    Failed {
        /// How.
        kind: FailureKind,
        /// The same, for people.
        message: String,
        /// Bytes of the whole log, uncompressed.
        log_size: u64,
        /// What it used.
        #[serde(default)]
        usage: Usage,
    },
    /// The builder was never run.
    SetupFailed {
        /// Paths of inputs that are missing; empty if that is not the problem.
        missing: Vec<String>,
        /// `missing-inputs`, `outputs-in-the-way`, `disk-full`, `unsupported`, `other`.
        problem: String,
        /// The same, for people.
        message: String,
    },
}
