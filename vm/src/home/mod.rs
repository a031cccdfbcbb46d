//! Machines that are kept: in a directory, each with its description, its keys, and what it is doing.

mod attach;
mod clients;
mod error;
mod keys;
mod lend;
mod machines;
mod serve;
mod status;

pub use attach::CONSOLE_SOCKET;
pub use error::HomeError;
pub use keys::{KeyFiles, KeyOptions};
pub use lend::Lent;
pub use machines::{Home, MachineHome};
pub use serve::{ServeOptions, Served};
pub use status::{State, Status};
