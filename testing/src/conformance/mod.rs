//! One case for each sentence of a contract.
//!
//! A case is a function that panics where the contract is broken, or takes longer than [`PATIENCE`].
//! The macros make a `#[test]` of each; whoever needs a case on its own calls it:
//! `run(datastore::repeating_is_one_commit(&bench))`.

pub mod artifacts;
mod bench;
pub mod builder;
pub mod datastore;
pub mod delivery;
pub mod endpoint;
pub mod history;
pub mod hook;
pub mod local_store;
mod macros;
pub mod policy;
mod run;
pub mod transport;
mod writer;

pub use bench::{
    ArtifactsBench, BuilderBench, DatastoreBench, DeliveryBench, EndpointBench, Farm, HistoryBench,
    HookBench, Link, LocalStoreBench, PolicyBench, Served, Serving, TransportBench, Workshop,
    WriteDerivation,
};
pub use builder::runs_here;
pub use history::OfDatastore;
pub use run::{PATIENCE, fails, run};
