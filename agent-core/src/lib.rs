//! Grange's agent as a pure state machine.
//!
//! [`Core`] decides what an agent does next: what it tells the coordinator, which attempt it
//! prepares, builds, uploads and reports, and when it tries again what did not go. It does none of
//! it: an embedder steps it by hand, performs the [`Effect`]s and hands back [`Input`]s.
//!
//! ```
//! use grange_agent_core::{Core, Effect, Input, Settings};
//! use grange_model::{SessionId, Timestamp};
//!
//! # fn perform(_: Effect) {}
//! let session = SessionId("0195f3c0-0000-7000-8000-000000000001".parse()?);
//! let mut core = Core::new(Timestamp(0), session, Settings::default());
//! while let Some(effect) = core.poll_effect() {
//!     perform(effect); // the first one is an exchange: the coordinator hears of the agent
//! }
//! core.handle(Timestamp(5), Input::Drain);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An agent is *level-triggered*: every exchange names all that the agent holds, and the answer
//! says what is to be added and dropped. So it does not matter which message was lost or came
//! twice, nor which of the two sides was restarted.
//!
//! **Invariant:** no I/O, no clock, no thread, no async, no order that differs from run to run;
//! `clippy.toml` enforces it. Randomness (only in waiting times) comes from a seed.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod attempt;
mod backoff;
mod core;
mod effect;
mod elapsed;
mod input;
mod polling;
mod settings;

pub use crate::core::{Contact, Core};
pub use attempt::{Assignment, Phase};
pub use backoff::{Backoff, Jitter};
pub use effect::{Effect, End, Ending, Exchange};
pub use input::{ExchangeFailure, Input};
pub use settings::Settings;
