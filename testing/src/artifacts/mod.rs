//! An ArtifactStore in memory.

mod memory;

pub use memory::MemoryArtifacts;
