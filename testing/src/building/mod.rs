//! A store and a builder in memory.

mod store;

pub use store::MemoryLocalStore;
