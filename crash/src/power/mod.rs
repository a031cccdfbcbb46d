//! A disk that forgets what was not synced, as a file system.

mod disk;
mod files;
mod mount;
mod trace;

pub(crate) use disk::Faults;
pub(crate) use mount::PowerDisk;
