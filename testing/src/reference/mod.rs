//! The coordinator as plain as possible, and a comparison of the real core with it.
//!
//! The [model](Model) keeps sets and scans them: after each step it recomputes from nothing what the meaning of states,
//! priorities, failures and leases demands. [`Comparison`] gives the same [`Op`]s to it and to a
//! [`Core`](grange_coordinator_core::Core) that is stepped by hand on a plain store, and compares all that can be seen: builds and how
//! they ended, items, remembered failures, attempts, answers. Which build an agent gets is the core's choice; that it
//! was allowed, that no better one was passed over, and that no agent with room waits beside a build that
//! fits it, is checked.
//!
//! Each operation means something in each state (it names what is there by number, modulo how many there are), so that any
//! sequence can be drawn, shrunk, or read [from bytes](Script::from_bytes) by a fuzzer:
//!
//! ```
//! use grange_testing::reference::{Comparison, Op, Script};
//!
//! let mut comparison = Comparison::new(&Script::from_bytes(b"any bytes").sketch);
//! comparison.apply(&Op::Exchange { agent: 0, says: 0, offers: 0, waits: true })?;
//! comparison.apply(&Op::Restart)?;
//! # Ok::<(), grange_testing::reference::Mismatch>(())
//! ```
//!
//! [`scripts`] draws whole runs for `proptest`; [`Machine`] is the same for `proptest-state-machine`, which shrinks them
//! step by step.
//!
//! What it does not draw: derivations that wait for themselves over outputs that several make (the core's own tests do), and
//! requests between whose look-ups something else happens (the simulator does).

mod agree;
mod compare;
mod drive;
mod mismatch;
mod model;
mod names;
mod op;
mod run;
mod sketch;
mod store;
mod strategy;

pub use compare::Comparison;
pub use mismatch::Mismatch;
pub use model::Model;
pub use op::{Op, Outcome, Script, Want};
pub use sketch::{DerivationSketch, Sketch};
pub use strategy::{Machine, derivations, ops, scripts, sketches};
