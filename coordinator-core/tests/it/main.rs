//! The core, as an embedder drives it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so where it stands"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests read scenarios, and seeds from the environment"
)]

mod agents;
mod allocation;
mod cancel;
mod eta;
mod hostile;
mod loading;
mod meaning;
mod policy;
mod predict;
mod priorities;
mod prune;
mod purity;
mod races;
mod random;
mod remaining;
mod reopen;
mod resources;
mod setup;
mod sharing;
mod slices;
mod world;
