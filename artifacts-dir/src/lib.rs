//! Grange's [`ArtifactStore`](grange_interfaces::ArtifactStore) in a directory.
//!
//! ```text
//! DIR/lock          locked while a process uses the directory
//! DIR/uploads/NAME  what an upload has so far
//! DIR/blobs/3f/3f…  sealed blobs, each named by the SHA-256 of its bytes in hexadecimal
//! ```
//!
//! A blob is an upload that was brought to the disk and then renamed: it has all of its bytes or
//! no name. Every other name in these directories is ignored. The directory has to be one file
//! system, and no other program may write to it.
//!
//! What an upload gets is hashed as it comes; only an upload that a former process began is read
//! again when it is sealed.

mod append;
mod dir;
mod error;
mod layout;
mod list;
mod read;
mod seal;
mod sealed;
mod uploads;

pub use dir::ArtifactsDir;
