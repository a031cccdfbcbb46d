//! A store and a builder in memory.

mod builder;
mod step;
mod store;

pub use builder::MemoryBuilder;
pub use step::Step;
pub use store::MemoryLocalStore;
