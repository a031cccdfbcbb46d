//! The host's end.

mod drive;
mod error;
mod guest;
mod relay;
mod running;
mod tenant;
mod vsock;

pub use error::ClientError;
pub use guest::{Got, Guest};
pub use relay::relay;
pub use running::{Captured, Output, Running, Stdin};
pub use vsock::VsockDevice;
