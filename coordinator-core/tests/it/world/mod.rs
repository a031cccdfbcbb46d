//! A core with a history beside it.

mod asking;
mod driver;
pub(crate) mod history;
pub(crate) mod names;

pub(crate) use asking::{failure, setup_failure};
pub(crate) use driver::World;
