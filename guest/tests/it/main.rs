//! The program, as a process of this machine, and the host's end of the talk with it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod broken;
mod files;
mod http;
mod programs;
mod reconnect;
mod relay;
mod rig;
