//! What makes a kernel that has just started into a machine that a host can use.

mod boot;
mod modules;
mod mounts;
mod network;
mod options;
mod patience;
mod root;

pub(crate) use boot::{boot, serve_machine};
pub(crate) use patience::wait_for;
