//! Grange's vocabulary: identifiers, records and facts, and their versioned codec.
//!
//! This crate is pure: it does no I/O, reads no clock and draws no random number. Both cores are
//! written in these words, a [`Datastore`](https://docs.rs/grange-interfaces) keeps these records,
//! and followers read these facts.
//!
//! A *record* is the last word about one thing and replaces the earlier one; a *fact* says what
//! happened once and is never changed. Both travel in a [`Batch`], which is written as a whole or
//! not at all.

mod agent;
mod batch;
mod build;
mod codec;
mod derivation;
mod fact;
mod history;
mod hook;
mod id;
mod item;
mod outcome;
mod record;
mod resources;
mod time;

pub use agent::{AgentRecord, PasswordHash};
pub use batch::{Batch, Change};
pub use build::{BuildRecord, BuildSpec, BuildState, Cause, Limits, Tags};
pub use codec::{CodecError, decode, encode};
pub use derivation::{DerivationRecord, InputRef, OutputRef};
pub use fact::{Fact, NumberedFact};
pub use history::{HistoryRecord, Quantiles, Spread};
pub use hook::{DeadLetter, HookRecord};
pub use id::{AgentId, AttemptId, BuildId, FactNumber, Seq, SessionId, Term};
pub use item::{BlobId, Digest, Item, ItemRecord, NarHash, UpstreamRecord};
pub use outcome::{
    AttemptOutcome, AttemptRecord, AttemptSummary, BuiltOutput, FailureKind, FailureRecord,
    FinishedBuild, LostCause, LostReason, SetupFailure, SetupProblem,
};
pub use record::{Key, Record};
pub use resources::{CORES, Choice, DISK, MEMORY, Occasion, Resources, Usage};
pub use time::Timestamp;
