//! The host's end.

mod drive;
mod error;
mod guest;
mod relay;
mod running;
mod tenant;

pub use error::ClientError;
pub use guest::{Got, Guest};
pub use relay::relay;
pub use running::{Captured, Output, Running, Stdin};
