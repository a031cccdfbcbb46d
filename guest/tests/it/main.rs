//! The program, as a process of this machine, and the host's end of the talk with it.

mod broken;
mod files;
mod programs;
mod reconnect;
mod relay;
mod rig;
