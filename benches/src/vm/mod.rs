//! Virtual build machines that are measured, and what they are compared with.

mod bare;
mod memory;
mod rig;

pub use bare::Bare;
pub use memory::{Held, held};
pub use rig::{MACHINE, Rig};
