//! The commands of `grange`.

mod agents;
mod artifacts;
mod build;
mod builds;
mod completions;
mod derivation;
mod eta;
mod fetch;
mod history;
mod key;
mod log;
mod man;
mod nar;
mod recording;
mod resolve;
mod run;
mod show;
mod simulate;
mod submit;
mod substitutes;
mod traps;
mod vm;
mod wait;
mod why;

pub use run::{main, usage_error};
pub(crate) use wait::summary;
