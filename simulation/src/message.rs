//! What the nodes say to each other.

use grange_coordinator_core as coordinator;
use grange_model::{AttemptId, BuildId, BuildSpec, Digest, FailureKind, NarHash, SetupProblem};

use crate::disk::Upload;

/// Who calls the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// All clients and operators.
    Clients,
    /// The agent in this place.
    Agent(usize),
}

/// One call of a peer; of all its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId {
    pub(crate) peer: Peer,
    pub(crate) number: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Submit(Vec<BuildSpec>),
    Cancel(BuildId),
    Send(Digest),
    Prune(Digest),
    Pause(grange_model::AgentId, bool),
    Exchange(Box<coordinator::Exchange>),
    /// Nobody waits for that call any more.
    HangUp(u64),
    /// Which inputs of the derivation cannot be had?
    Inputs(Digest),
    /// How much of an upload is there?
    Offset(Upload),
    Append {
        upload: Upload,
        offset: usize,
        pieces: Vec<u64>,
    },
    Report(AttemptId, Claim),
}

/// What an agent says of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It sent these, in the order of the derivation.
    Succeeded(Vec<NarHash>),
    Failed(FailureKind),
    SetupFailed(SetupProblem),
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// What the core said.
    Core(coordinator::Reply),
    Missing(Vec<Digest>),
    Offset(usize),
    /// The attempt is void, or what was sent for it is not there.
    Void,
    /// What was sent is not what was announced.
    Lie,
    /// Not now.
    Busy,
    /// The connection broke.
    Broken,
}
