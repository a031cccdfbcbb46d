//! A disk that forgets what was not synced, as a file system.

mod disk;
mod files;
mod mount;

pub(crate) use disk::Faults;
pub(crate) use mount::PowerDisk;
