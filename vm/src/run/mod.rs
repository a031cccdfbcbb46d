//! Machines that run.

mod accelerator;
mod channel;
mod console;
mod disk;
mod error;
mod plan;
mod running;
mod template;
mod watch;

pub use accelerator::{Choice, choose_accelerator};
pub use channel::Channel;
pub use console::Console;
pub use disk::PlannedDisk;
pub use error::BootError;
pub use plan::Plan;
pub use running::Running;
pub use template::{Template, TemplateKey};
pub use watch::{Ending, Health};
