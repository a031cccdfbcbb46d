//! The store as its users see it.
#![expect(clippy::unwrap_used, reason = "what fails in a test shall stop it")]

mod build;
mod fixture;
mod import;
mod store;
mod tools;
