//! `grange demo`: a farm in one process.

mod farm;
mod forget;
mod graph;
mod report;
mod run;
mod secret;

pub use run::run;
