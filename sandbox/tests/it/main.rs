//! Real builds in real namespaces. They need what `xtask/seeds` downloads, and say so where it is not there.
#![expect(clippy::unwrap_used, reason = "what fails in a test shall stop it")]

mod conformance;
mod downloads;
mod facts;
mod fixture;
mod full;
mod isolation;
mod limits;
mod sets;
mod store;
mod support;
