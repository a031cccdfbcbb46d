//! The coordinator's side: its core, and what a shell does around it.

mod arrive;
mod drive;
mod follow;
mod report;
mod run;

pub(crate) use run::Coordinators;
