//! The core, as an embedder drives it.

mod agents;
mod allocation;
mod cancel;
mod meaning;
mod priorities;
mod purity;
mod races;
mod random;
mod reopen;
mod setup;
mod world;
