//! What is kept and what goes.

mod pins;
mod sweep;
mod timer;

pub(crate) use pins::{Pin, Pins};
pub use sweep::Swept;
pub(crate) use sweep::sweep;
pub(crate) use timer::run;
