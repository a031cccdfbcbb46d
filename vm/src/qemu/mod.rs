//! QEMU: its command line, its program, and how one speaks to it.

mod command;
mod death;
mod emulator;
mod kept;
mod process;
mod qmp;

pub use command::{Accelerator, Boot, Disk, DiskFormat, Launch, Memory, QemuCommand};
pub use emulator::{Emulator, EmulatorError, missing_features};
pub use process::{Ended, QemuProcess, StartError, User};
pub use qmp::{Event, Qmp, QmpError, RunState};
