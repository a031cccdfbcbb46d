//! The SQLite file as a Datastore.

#![expect(clippy::unwrap_used, reason = "tests")]

mod conformance;
mod damage;
mod full_disk;
mod processes;
mod support;
mod writing;
