//! A Datastore in memory.

mod faults;
mod history;
mod rules;
mod state;
mod store;

pub(crate) use history::fits;
pub use store::MemoryDatastore;
