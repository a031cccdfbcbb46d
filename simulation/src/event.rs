//! What may happen.

use grange_coordinator_core::LookupId;
use grange_model::{AttemptId, Key, Record, Seq};

use crate::agent::StepEnd;
use crate::message::{Answer, Call, CallId, Claim};

/// Which run of the coordinator.
pub(crate) type Instance = u64;

#[derive(Debug)]
pub(crate) enum Event {
    /// A client does something: the action in this place.
    Act(usize),
    /// Something goes wrong: the fault in this place.
    Fail(usize),
    /// From now on nothing goes wrong.
    Heal,
    /// Somebody asks for everything.
    AskAll,
    /// A call reaches the coordinator.
    Arrive(CallId, Call),
    /// An answer reaches who called.
    Return(CallId, Answer),
    /// Who called waits no longer.
    GiveUp(CallId),
    StartCoordinator,
    /// Its core wanted to be woken.
    Wake(Instance),
    /// The commit that is under way reaches the disk.
    Write(Instance),
    /// The coordinator hears that it did.
    Written(Instance, Seq),
    /// What was asked for; read when it was asked, or else read now.
    Found(Instance, LookupId, Vec<Key>, Option<Vec<Option<Record>>>),
    /// The outputs that a report names were looked at.
    Verified(Instance, CallId, AttemptId, Claim),
    /// The hook hears of the next fact.
    Follow(Instance),
    StartAgent(usize),
    /// In which of its lives; its core wanted to be woken.
    WakeAgent(usize, u64),
    /// Something that an agent does for an attempt is done, unless another number is under way.
    Step(usize, u64, AttemptId, u64, StepEnd),
}
