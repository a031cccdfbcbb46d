//! The guest's end: threads, no runtime.

mod children;
mod control;
mod exec;
mod files;
mod link;
mod port;
mod power;
mod relay;
mod users;
mod vsock;

pub(crate) use control::Control;
pub(crate) use link::serve;
pub(crate) use port::Port;
pub(crate) use power::Power;
pub(crate) use relay::relay;
