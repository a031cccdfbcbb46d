//! The coordinator as a pure state machine, stepped by hand.
//!
//! [`Core`] is a value. It does no I/O, reads no clock, starts no thread and draws no random number:
//! `now` is the first argument of every call that may change something, and a seed is given once.
//! The shell around it does what [`Core::poll_effect`] says and hands in what happens.
//!
//! Whatever can be polled may be done at once: an effect that must wait for a commit comes out only
//! when that commit is durable. So an embedder has no ordering rules to keep:
//!
//! ```
//! use grange_coordinator_core::{Config, Core, Effect, Input, Reply, Start, Ticket};
//! use grange_model::Timestamp;
//!
//! let mut core = Core::new(Config::default(), Start::default());
//! let now = Timestamp(1_000);
//! core.handle(now, Input::Submit { ticket: Ticket(1), builds: Vec::new() });
//! while let Some(effect) = core.poll_effect() {
//!     match effect {
//!         Effect::Commit { seq, .. } => core.handle(now, Input::Committed { seq }),
//!         Effect::Lookup { lookup, keys } => {
//!             core.handle(now, Input::Found { lookup, records: vec![None; keys.len()] });
//!         }
//!         Effect::Reply { ticket, reply } => {
//!             assert_eq!((ticket, reply), (Ticket(1), Reply::Submitted(Vec::new())));
//!         }
//!     }
//! }
//! ```

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::iter_over_hash_type)]

mod agents;
mod allocate;
mod ask;
mod backlog;
#[cfg(grange_bugs)]
mod bugs;
mod chain;
mod check;
mod config;
mod cycles;
mod demand;
mod eligible;
mod end;
mod eta;
mod exchange;
mod few;
mod graph;
mod history;
mod identifiers;
mod io;
mod kind;
mod ledger;
mod load;
mod local;
mod lognormal;
mod look;
mod machine;
mod make;
mod memory;
mod names;
mod overdue;
mod package;
mod policy;
mod predict;
mod priority;
mod prospect;
mod prune;
mod queue;
mod recent;
mod remaining;
mod report;
mod request;
mod reserve;
mod share;
mod shared;
mod slab;
mod submit;
mod tables;
mod urgent;
mod users;
mod view;
mod why;
mod work;

#[cfg(grange_bugs)]
pub use bugs::Bug;
pub use check::InvariantViolation;
pub use config::Config;
pub use eta::Eta;
pub use io::{
    Accepted, Admission, AgentChange, Assignment, AttemptPhase, Capacity, Denied, DeniedWhy,
    Effect, Exchange, ExchangeReply, Health, Input, LookupId, Reply, Report, Ticket, TimerReason,
};
pub use load::{Loading, Start};
pub use machine::Core;
pub use policy::{
    ByCriticalPath, ByLocality, ByPriority, BySpeed, ByTags, Candidate, Order, Placement, Policy,
    Seat, Share,
};
pub use predict::{Prediction, Source};
pub use prune::MAX_PRUNED;
pub use view::{AgentStatus, AttemptStatus, BuildStatus, StateCounts};
pub use why::{Blocked, Queued, Root, Short, Why};
