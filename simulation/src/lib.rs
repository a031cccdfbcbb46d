//! Both of Grange's cores on a simulated network, disk and clock: one thread, one seed, virtual time.
//!
//! A [`Scenario`] is a farm and what happens to it: messages are lost, come twice, late and in another
//! order; commits fail, stall and are cut off by a crash on either side; agents die, sleep, lie and
//! come back; clocks drift and are set; hooks fail; another coordinator takes over while the first
//! one still believes to be the one. At any moment the invariants must hold (one file each in
//! `src/invariants`, with what would go wrong otherwise); once all is healed, everything that can be
//! built must be built.
//!
//! ```
//! use grange_simulation::{Scenario, run};
//!
//! let outcome = run(&Scenario::draw(7), false);
//! assert_eq!(outcome.violation, None);
//! // The same seed is the same run, to the last bit.
//! assert_eq!(outcome.trace, run(&Scenario::draw(7), false).trace);
//! ```
//!
//! What a shell does around the cores (commits, look-ups, verification of uploads, the follower that
//! gives facts to a hook) is done here as simply as possible, in virtual time. The shells themselves
//! are tried by killing real processes.
//!
//! `cargo xtask sim --seeds 1000` runs many; a seed that fails is printed with its command, and made
//! small by [`shrink()`].

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::iter_over_hash_type)]

mod agenda;
mod agent;
mod calls;
mod clients;
mod coordinator;
mod dice;
mod disk;
mod event;
mod farm;
mod faults;
mod invariants;
mod live;
mod message;
mod network;
mod outcome;
mod scenario;
mod shrink;
mod store;
mod time;
mod trace;
mod violation;

pub use dice::Dice;
#[cfg(grange_bugs)]
pub use grange_coordinator_core::Bug;
pub use outcome::{Counts, Outcome, run};
pub use scenario::{Action, AgentPlan, Cuts, Fault, ParseCutsError, Scenario, StorePlan, Weather};
pub use shrink::{Shrunk, shrink};
pub use time::Moment;
pub use violation::Violation;
