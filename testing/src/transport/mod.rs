//! A transport in memory.

mod memory;

pub use memory::{MemoryServer, MemoryTransport};
