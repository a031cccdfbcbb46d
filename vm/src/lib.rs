//! Virtual build machines: QEMU with a chosen date, processor and kernel, so that old software builds again.
//!
//! A [`VirtualBuildMachine`](machine::VirtualBuildMachine) is plain data. [`QemuCommand`](qemu::QemuCommand) makes the emulator's
//! arguments of it and looks nothing up.

pub mod guest_system;
pub mod home;
pub mod image;
pub mod machine;
pub mod qemu;
pub mod run;
pub mod secrets;
pub mod traps;
