//! What is kept and what goes.

mod choice;
mod delete;
mod held;
mod logs;
mod pins;
mod prune;
mod relied;
mod sweep;
mod timer;
mod uploads;

pub(crate) use held::held;
pub(crate) use pins::{Pin, Pins};
pub(crate) use prune::prune;
pub(crate) use relied::{Reliance, Relied};
pub use sweep::Swept;
pub(crate) use sweep::sweep;
pub(crate) use timer::run;
