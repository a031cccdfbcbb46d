//! What builds say: to the disk first, then to the coordinator.

mod file;
mod pump;
mod sender;

pub(crate) use file::LogFile;
pub(crate) use pump::pump;
pub(crate) use sender::{LogSender, send_live};
