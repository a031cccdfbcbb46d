//! The coordinator, as plain as possible.

mod agents;
mod ends;
mod facts;
mod requests;
mod settle;
mod state;

pub use state::Model;
pub(super) use state::{Answer, End, Status, Told};
