//! What a virtual build machine is: plain data, validated.

mod cpu;
mod date;
mod forward;
mod name;
mod spec;

pub use cpu::{CpuEra, CpuModel, ParseCpuModelError, cpu_of};
pub use date::{ParseDateError, VirtualDate};
pub use forward::{Forward, ParseForwardError};
pub use name::{MachineName, ParseNameError};
pub use spec::{SpecError, VirtualBuildMachine};
