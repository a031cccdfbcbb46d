//! What an attempt goes through.

mod build;
mod derivations;
mod error;
mod inputs;
mod job;
mod prepare;
mod report;
mod room;
mod spool;
mod upload;
mod upstream;

pub(crate) use build::build;
pub(crate) use error::{Problem, SetupFailure, StepError};
pub(crate) use prepare::prepare;
pub(crate) use report::report;
pub(crate) use upload::upload;
