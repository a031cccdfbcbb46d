//! The protocol's messages and answers, versions 1 to 3.
//!
//! Store paths are written in full (`/gnu/store/…`), hashes in lower-case base16, times in
//! milliseconds. The wire form is the JSON of these types; `transport-http/testdata` holds golden
//! files. A field that is added later has a default, so that a message of an older peer can be
//! read; a message or an answer that is added makes a new version.
//!
//! Bodies are named in the documentation of each message. `…Derivations` bodies are a sequence of
//! (length of path: u32 big-endian, path, length of text: u32 big-endian, text), read by [`Frames`](crate::Frames).

mod agent;
mod artifacts;
mod client;
mod history;
mod views;

pub use agent::{
    Admission, Assignment, Capacity, ExchangeAnswer, ExchangeRequest, Health, HeldAttempt,
    JobAnswer, Phase, Report, ReportedOutput,
};
pub use artifacts::{Held, HeldView, PruneRequest, PruneView, PrunedItem, SweepView};
pub use client::{BuildFilter, BuildRequest, ItemUpload, Submission};
pub use history::{MAX_PACKAGES, PackageHistory, PredictionView, SpreadView};
pub use views::{
    AgentView, AttemptView, BuildSummary, BuildView, CauseView, Counts, EtaView, ItemView,
    MAX_ETAS, OutputView, RootView, SetupFailureView,
};

use grange_model::{AgentId, AttemptId, BuildId, FactNumber, Tags};
use serde::{Deserialize, Serialize};

/// The versions of the protocol that this Grange speaks: from, to.
pub const VERSIONS: (u16, u16) = (1, 3);

/// What is said to a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Message {
    /// First of all: which versions the caller speaks. Anybody may ask.
    Hello {
        /// From, to.
        versions: (u16, u16),
        /// Program and version, for logs.
        software: String,
    },

    /// An agent's whole truth; answered when there is something to do, or after `wait_ms`.
    Exchange(ExchangeRequest),
    /// What the agent needs for an assigned attempt.
    Job {
        /// Which.
        attempt: AttemptId,
    },
    /// Body: the next bytes of an attempt's log. Bytes before `offset` that were sent already are
    /// not sent again; the answer says where to go on.
    AppendLog {
        /// Of which attempt.
        attempt: AttemptId,
        /// Where the body begins.
        offset: u64,
    },
    /// How many bytes of a log have arrived.
    LogOffset {
        /// Of which attempt.
        attempt: AttemptId,
    },
    /// How many bytes of an output have arrived.
    UploadOffset {
        /// Of which attempt.
        attempt: AttemptId,
        /// The output's name.
        output: String,
        /// SHA-256 of the compressed file.
        file_hash: String,
    },
    /// Body: the next bytes of an output: its nar, compressed with zstd.
    AppendUpload {
        /// Of which attempt.
        attempt: AttemptId,
        /// The output's name.
        output: String,
        /// SHA-256 of the compressed file.
        file_hash: String,
        /// Where the body begins.
        offset: u64,
    },
    /// How attempts ended.
    Report {
        /// Each on its own: one refused report does not hold up the others.
        reports: Vec<(AttemptId, Report)>,
    },

    /// Which of these the coordinator does not have. A derivation that it has, it has with its
    /// whole closure.
    Lacking {
        /// Paths of derivations.
        derivations: Vec<String>,
        /// Paths of other items.
        items: Vec<String>,
    },
    /// Has upstream substitute servers give what they have of these, with all that it refers to: texts of derivations
    /// are fetched, other items count as available. Answered with [`Answer::Lacking`]: what is not here after that.
    /// From version 2 on.
    Obtain {
        /// Paths of derivations.
        derivations: Vec<String>,
        /// Paths of other items.
        items: Vec<String>,
    },
    /// Body: texts of derivations, inputs before those that use them.
    PutDerivations,
    /// Body: the uncompressed nars of these items one after the other, references first.
    PutItems {
        /// What they are.
        items: Vec<ItemUpload>,
    },
    /// Asks for builds.
    Submit {
        /// Each on its own.
        builds: Vec<BuildRequest>,
    },
    /// Cancels builds.
    Cancel {
        /// Which.
        builds: Vec<BuildId>,
    },
    /// All about one build.
    Build {
        /// Which.
        build: BuildId,
    },
    /// Builds in the order of their ids.
    Builds {
        /// Which.
        filter: BuildFilter,
        /// Only those behind this one.
        after: Option<BuildId>,
        /// At most so many; at most 1,000.
        limit: u32,
    },
    /// How many builds there are in each state.
    Counts,
    /// Facts behind `after`; answered when there is one, or after `wait_ms`.
    Facts {
        /// The last one known; none to be told the newest number at once.
        after: Option<FactNumber>,
        /// How long to wait for one, in milliseconds; at most 30,000.
        wait_ms: u64,
        /// At most so many; at most 10,000.
        limit: u32,
    },
    /// The log of a build from `offset` on. Answered with what is there, as a body; if there is
    /// nothing yet, after `wait_ms`.
    Log {
        /// Of which build.
        build: BuildId,
        /// Of which attempt; none for the newest.
        attempt: Option<AttemptId>,
        /// Where to begin, in bytes of the uncompressed log.
        offset: u64,
        /// How long to wait for more, in milliseconds; at most 30,000.
        wait_ms: u64,
    },
    /// What is known of these items. For agents and clients.
    Items {
        /// Paths.
        paths: Vec<String>,
        /// Whether to add all that they refer to, references first.
        closure: bool,
    },
    /// The nar of an item, compressed with zstd, from `offset` on, as a body. For agents and
    /// clients.
    FetchItem {
        /// Which.
        path: String,
        /// Where to begin, in compressed bytes.
        offset: u64,
    },
    /// The texts of derivations, as a body. For agents and clients.
    Derivations {
        /// Which.
        paths: Vec<String>,
    },

    /// All agents.
    Agents,
    /// One agent.
    Agent {
        /// Which.
        agent: AgentId,
    },
    /// Makes an agent. The same id again is the same agent.
    NewAgent {
        /// Which; minted by the caller.
        agent: AgentId,
        /// For people.
        name: String,
    },
    /// Makes a password for an agent. The coordinator keeps only its hash.
    NewPassword {
        /// For which.
        agent: AgentId,
    },
    /// Revokes all passwords of an agent.
    RevokePasswords {
        /// Of which.
        agent: AgentId,
    },
    /// Gives an agent no new builds, or gives it builds again.
    PauseAgent {
        /// Which.
        agent: AgentId,
        /// Whether it shall be paused.
        paused: bool,
    },
    /// Replaces what the operator says that an agent offers.
    TagAgent {
        /// Which.
        agent: AgentId,
        /// All of them.
        tags: Tags,
    },
    /// Deletes an agent. What it holds goes to others.
    DeleteAgent {
        /// Which.
        agent: AgentId,
    },

    /// What is kept of outputs, sources and logs. From version 2 on.
    Held,
    /// Says which outputs go, and deletes them if it is told to. From version 2 on.
    Prune(PruneRequest),
    /// Says which blobs no record names, and deletes them if it is told to. From version 2 on.
    Sweep {
        /// Whether to delete them.
        delete: bool,
    },
    /// What builds of packages have taken so far, by package and system, in their order. From version 3 on.
    History {
        /// Only those behind this package and system.
        after: Option<(String, String)>,
        /// At most so many; at most [`MAX_PACKAGES`].
        limit: u32,
    },
    /// When builds will have ended. From version 3 on.
    Etas {
        /// At most [`MAX_ETAS`].
        builds: Vec<BuildId>,
    },
    /// Takes the place of what is known of these packages on these systems: all of them, or none if one cannot be. From version
    /// 3 on.
    ImportHistory {
        /// At most [`MAX_PACKAGES`].
        packages: Vec<PackageHistory>,
    },
}

impl Message {
    /// The first version of the protocol in which it can be said.
    #[must_use]
    pub fn since(&self) -> u16 {
        // All are named, so that whoever adds one decides.
        match self {
            Self::Hello { .. }
            | Self::Exchange(_)
            | Self::Job { .. }
            | Self::AppendLog { .. }
            | Self::LogOffset { .. }
            | Self::UploadOffset { .. }
            | Self::AppendUpload { .. }
            | Self::Report { .. }
            | Self::Lacking { .. }
            | Self::PutDerivations
            | Self::PutItems { .. }
            | Self::Submit { .. }
            | Self::Cancel { .. }
            | Self::Build { .. }
            | Self::Builds { .. }
            | Self::Counts
            | Self::Facts { .. }
            | Self::Log { .. }
            | Self::Items { .. }
            | Self::FetchItem { .. }
            | Self::Derivations { .. }
            | Self::Agents
            | Self::Agent { .. }
            | Self::NewAgent { .. }
            | Self::NewPassword { .. }
            | Self::RevokePasswords { .. }
            | Self::PauseAgent { .. }
            | Self::TagAgent { .. }
            | Self::DeleteAgent { .. } => 1,
            Self::Obtain { .. } | Self::Held | Self::Prune(_) | Self::Sweep { .. } => 2,
            Self::Etas { .. } | Self::History { .. } | Self::ImportHistory { .. } => 3,
        }
    }
}

/// What a coordinator answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answer {
    /// It is done, and durable.
    Done,
    /// To [`Message::Hello`].
    Hello {
        /// What both speak from now on.
        version: u16,
        /// Program and version, for logs.
        software: String,
        /// The store directories that the coordinator serves.
        store_dirs: Vec<String>,
    },
    /// To [`Message::Exchange`].
    Exchange(ExchangeAnswer),
    /// To [`Message::Job`].
    Job(Box<JobAnswer>),
    /// To appends and questions for offsets: how many bytes are there.
    Offset(u64),
    /// To [`Message::Report`]: one for each, in order; none where it was taken.
    Reported(Vec<Option<crate::Refusal>>),
    /// To [`Message::Lacking`].
    Lacking {
        /// Derivations that the coordinator does not have.
        derivations: Vec<String>,
        /// Items that it does not have.
        items: Vec<String>,
    },
    /// To [`Message::Submit`] and [`Message::Cancel`]: one for each, in order.
    Submitted(Vec<Submission>),
    /// To [`Message::Build`].
    Build(Box<BuildView>),
    /// To [`Message::Builds`].
    Builds {
        /// In order.
        builds: Vec<BuildSummary>,
        /// Whether there are more.
        more: bool,
    },
    /// To [`Message::Counts`].
    Counts(Counts),
    /// To [`Message::Facts`].
    Facts {
        /// In order, as text for people and programs: see [`views`](self).
        facts: Vec<FactView>,
        /// The number of the newest fact that this answer covers.
        last: FactNumber,
    },
    /// To [`Message::Log`], with a body.
    Log {
        /// Which attempt's log it is; none as long as there is no attempt.
        attempt: Option<AttemptId>,
        /// Where the body begins.
        offset: u64,
        /// How many bytes the body has.
        length: u64,
        /// Whether the log ends where the body ends.
        complete: bool,
    },
    /// To [`Message::Items`]: none for what is not available; with `closure`, only what is.
    Items(Vec<Option<ItemView>>),
    /// To [`Message::FetchItem`], with a body.
    Item(ItemView),
    /// To [`Message::Derivations`], with a body.
    Derivations,
    /// To [`Message::Agents`].
    Agents(Vec<AgentView>),
    /// To [`Message::Agent`].
    Agent(Box<AgentView>),
    /// To [`Message::NewPassword`]: shown once.
    Password(String),
    /// To [`Message::Held`].
    Held(HeldView),
    /// To [`Message::Prune`].
    Pruned(PruneView),
    /// To [`Message::Sweep`].
    Swept(SweepView),
    /// To [`Message::Etas`]: one for each, in order.
    Etas(Vec<EtaView>),
    /// To [`Message::History`].
    History {
        /// In order.
        packages: Vec<PackageHistory>,
        /// Whether there are more.
        more: bool,
    },
}

/// A fact on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactView {
    /// Its place in the journal.
    pub number: FactNumber,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// `submitted`, `started`, `setup-failed`, `expired`, `ended`, `reopened`, `available`, `lost`,
    /// `agent-changed`, `pruned`, `gone-upstream`, `out-of-memory`,
    /// `preempted`.
    pub what: String,
    /// The builds that it is about.
    pub builds: Vec<BuildId>,
    /// The derivation or output that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The agent that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The state that a build ended in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<grange_model::BuildState>,
}
