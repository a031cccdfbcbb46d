//! What goes into the core and what comes out.

use std::sync::Arc;

use grange_model::{
    AgentId, AgentRecord, AttemptId, Batch, BlobId, BuildId, BuildSpec, BuildState, Digest,
    FailureKind, FinishedBuild, HistoryRecord, HookRecord, Item, ItemRecord, Key, Limits, Record,
    Resources, Seq, SessionId, SetupProblem, Tags, Usage,
};

/// Names a request; minted by who hands in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Names a question to the history; minted by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub u64);

/// What happened. Exhaustive: an embedder decides about each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Somebody asks for builds. Answered with [`Reply::Submitted`].
    Submit {
        /// Whom to answer.
        ticket: Ticket,
        /// Each on its own.
        builds: Vec<BuildSpec>,
    },
    /// Somebody cancels builds. Answered with [`Reply::Canceled`].
    Cancel {
        /// Whom to answer.
        ticket: Ticket,
        /// Which.
        builds: Vec<BuildId>,
    },
    /// Verified derivations, their texts, sealed items, and items that are available upstream. Answered
    /// with [`Reply::Done`].
    Store {
        /// Whom to answer.
        ticket: Ticket,
        /// `Derivation`, `DerivationText`, `Item` and `Upstream` records, inputs before those that use
        /// them.
        records: Vec<Record>,
    },
    /// Outputs that shall not be available any more, at most [`crate::MAX_PRUNED`]; who hands them in
    /// has made sure that no item that stays refers to one of them. Answered with
    /// [`Reply::Pruned`].
    Prune {
        /// Whom to answer.
        ticket: Ticket,
        /// Which.
        outputs: Vec<Digest>,
    },
    /// Outputs that were available upstream and cannot be had there any more, at most [`crate::MAX_PRUNED`]; they do not
    /// lie here either. Who needs them hears of it. Answered with [`Reply::Done`].
    GoneUpstream {
        /// Whom to answer.
        ticket: Ticket,
        /// Which.
        outputs: Vec<Digest>,
    },
    /// An agent's whole truth. Answered with [`Reply::Exchange`], when there is something to do.
    Exchange {
        /// Whom to answer.
        ticket: Ticket,
        /// What it says.
        exchange: Exchange,
    },
    /// An attempt has ended. Answered with [`Reply::Done`] or [`Reply::Denied`].
    Report {
        /// Whom to answer.
        ticket: Ticket,
        /// Who says so.
        agent: AgentId,
        /// Which attempt.
        attempt: AttemptId,
        /// How it ended; verified.
        report: Report,
    },
    /// The operator changes an agent. Answered with [`Reply::Done`] or [`Reply::Denied`].
    Agent {
        /// Whom to answer.
        ticket: Ticket,
        /// Which.
        agent: AgentId,
        /// How.
        change: AgentChange,
    },
    /// A hook is done with a fact. Answered with [`Reply::Submitted`]: one for each build that it
    /// asks for, then one for each that it asks to reopen.
    Hook {
        /// Whom to answer.
        ticket: Ticket,
        /// How far it is now.
        record: HookRecord,
        /// Builds that it asks for.
        builds: Vec<BuildSpec>,
        /// Builds that it asks to reopen: they ended as failed-dependency.
        reopen: Vec<FinishedBuild>,
    },
    /// What builds took elsewhere, or before: it takes the place of what is known of the same packages and systems. Answered
    /// with [`Reply::Done`] or, if there would be too many, [`Reply::Denied`].
    ImportHistory {
        /// Whom to answer.
        ticket: Ticket,
        /// All of them, or none.
        records: Vec<HistoryRecord>,
    },
    /// Nobody waits for this answer any more.
    Forget {
        /// Whose.
        ticket: Ticket,
    },
    /// What the history has under the keys of a lookup, in their order.
    Found {
        /// Which lookup.
        lookup: LookupId,
        /// What was found.
        records: Vec<Option<Record>>,
    },
    /// A commit is durable.
    Committed {
        /// Which.
        seq: Seq,
    },
}

/// What to do. Whatever can be polled may be done at once. Exhaustive: a new effect must not be
/// dropped silently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this; then hand in [`Input::Committed`]. The next one comes only after that.
    Commit {
        /// Which commit.
        seq: Seq,
        /// What to write.
        batch: Arc<Batch>,
    },
    /// Read these from the history, not before what was committed when this was polled; then hand
    /// in [`Input::Found`]. An item is available if there is an `Item` or an `Upstream` record of it:
    /// either does under the key of the former.
    Lookup {
        /// Which lookup.
        lookup: LookupId,
        /// What to read.
        keys: Vec<Key>,
    },
    /// Answer a request.
    Reply {
        /// Which.
        ticket: Ticket,
        /// What to say.
        reply: Reply,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done, and durable.
    Done,
    /// One for each build asked for, in order.
    Submitted(Vec<Result<Accepted, Denied>>),
    /// For each build: where it stands now, or none if it is not unfinished.
    Canceled(Vec<Option<BuildState>>),
    /// What an agent shall do.
    Exchange(ExchangeReply),
    /// Those of the outputs that unfinished builds make or need. If there are any, nothing was
    /// deleted; else all of them are gone, and that is durable.
    Pruned(Vec<Digest>),
    /// No.
    Denied(Denied),
}

/// A build that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Where it stands.
    pub state: BuildState,
    /// What the submitter should know.
    pub warnings: Vec<String>,
}

impl Accepted {
    pub(crate) fn now(state: BuildState) -> Self {
        Self {
            state,
            warnings: Vec::new(),
        }
    }
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Whose turn it is.
    pub why: DeniedWhy,
    /// In words: lower-case, no full stop.
    pub message: String,
}

/// Whose turn it is when something was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedWhy {
    /// It names what is not there.
    NotFound,
    /// Something else has happened since.
    Conflict,
    /// The request itself is wrong.
    Wrong,
    /// There is too much of something just now.
    TooMuch,
}

/// How far an attempt is on its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptPhase {
    /// Waits for room or fetches inputs.
    Preparing,
    /// The builder runs.
    Building,
    /// Outputs are on their way.
    Uploading,
}

/// What an agent can take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Systems that it builds for.
    pub systems: Vec<String>,
    /// What it says that it offers.
    pub tags: Tags,
    /// Keys of these: only builds that require them go there.
    pub exclusive: Vec<String>,
    /// How many builds may run at once.
    pub parallel: u32,
    /// How many more it takes, so that their inputs are there when room is.
    pub ahead: u32,
    /// How much it has of what builds use up. Of `cores`, `memory` and `disk` it has enough if it does not name them; of
    /// others nothing.
    pub resources: Resources,
    /// When it wants nothing new.
    pub admission: Admission,
    /// How fast it builds in comparison with others, in thousandths: 2,000 is twice as fast as 1,000, which 0 stands for. What
    /// it does counts so much in shares.
    pub speed: u32,
}

/// When an agent wants nothing new, however much room it has. What is none does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Above this load, in hundredths.
    pub max_load: Option<u32>,
    /// Above this share of time in which somebody waits for a processor, in hundredths of a percent.
    pub max_cpu_pressure: Option<u32>,
    /// Above this share of time in which all wait for memory, in hundredths of a percent.
    pub max_memory_pressure: Option<u32>,
    /// Above this share of time in which all wait for disks, in hundredths of a percent.
    pub max_io_pressure: Option<u32>,
    /// With fewer bytes free in the file system where it builds.
    pub min_disk_free: Option<u64>,
}

/// How an agent's machine does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The 1-minute load average in hundredths.
    pub load: u32,
    /// In which share of the last ten seconds somebody waited for a processor, in hundredths of a percent.
    pub cpu_pressure: u32,
    /// In which all waited for memory.
    pub memory_pressure: u32,
    /// In which all waited for disks.
    pub io_pressure: u32,
    /// Bytes that are free in the file system where it builds, if it knows.
    pub disk_free: Option<u64>,
}

/// An agent's whole truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Who.
    pub agent: AgentId,
    /// Which run of it.
    pub session: SessionId,
    /// Which exchange of that run.
    pub revision: u64,
    /// What it can take.
    pub capacity: Capacity,
    /// How its machine does.
    pub health: Health,
    /// Every attempt that it holds.
    pub attempts: Vec<(AttemptId, AttemptPhase)>,
    /// How long it waits for something to do, in milliseconds.
    pub wait_ms: u64,
}

/// What an agent shall do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeReply {
    /// Attempts to make.
    pub assign: Vec<Assignment>,
    /// Attempts to forget.
    pub drop: Vec<AttemptId>,
    /// How long the core counts on the agent, in milliseconds.
    pub lease_ms: u64,
}

/// An attempt to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Which.
    pub attempt: AttemptId,
    /// What to build.
    pub derivation: Item,
    /// The directory that the derivation belongs in.
    pub store: String,
    /// The builds that it may end.
    pub builds: Vec<BuildId>,
    /// How long it may take: the most generous of those builds.
    pub limits: Limits,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Every output was made, sealed and verified.
    Succeeded {
        /// All outputs, in the order of the derivation.
        outputs: Vec<ItemRecord>,
        /// The sealed log.
        log: Option<BlobId>,
        /// What it used.
        usage: Usage,
    },
    /// The builder failed.
    Failed {
        /// How.
        kind: FailureKind,
        /// The same, for people.
        message: String,
        /// The sealed log.
        log: Option<BlobId>,
        /// What it used.
        usage: Usage,
    },
    /// The builder was never run.
    SetupFailed {
        /// What was the matter.
        problem: SetupProblem,
        /// The same, for people.
        message: String,
    },
}

/// How an agent is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentChange {
    /// It is made. If it exists, nothing happens.
    New(AgentRecord),
    /// It can log in with this password too.
    AddPassword(grange_model::PasswordHash),
    /// None of its passwords is good any more.
    RevokePasswords,
    /// It gets no new builds, or gets some again.
    Pause(bool),
    /// What the operator says that it offers.
    Tags(Tags),
    /// It is gone.
    Delete,
}

/// What the core is asked to wake up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TimerReason {
    /// Work that was put off: due at once.
    Work,
    /// An agent's lease runs out.
    Lease,
    /// An exchange has waited long enough.
    Wait,
    /// A build may be tried again.
    Backoff,
    /// An urgent build has waited long enough for room.
    Urgent,
    /// What was learned of durations and memory is to be written.
    History,
    /// What builds remain to be done after others is to be reckoned anew.
    Remaining,
}
