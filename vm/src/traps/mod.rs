//! What no longer builds as it did: a catalogue of traps, and the environment in which each still builds.

mod catalogue;
mod environment;
mod package;
mod trap;

pub use catalogue::{Catalogue, ReadCatalogueError};
pub use environment::{Environment, MergeError};
pub use package::Package;
pub use trap::Trap;
