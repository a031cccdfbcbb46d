//! The store: items in a directory, and what is known of them.
//!
//! ```text
//! DIRECTORY/lock              held by the one process that uses the directory
//! DIRECTORY/store/HASH-NAME   the items; also what is left of items that were never valid
//! DIRECTORY/info/HASH-NAME    one small file for each valid item: hash, size, references, deriver
//! DIRECTORY/incoming/N        items on their way in
//! DIRECTORY/build/N           running builds
//! DIRECTORY/settled           which items are known to be on disk
//! ```
//!
//! An item is valid from the moment on that its file in `info` has its name. A process that is killed leaves no valid
//! item that is not complete. After a power cut it could: files that nobody synced may be empty. Syncing each of them
//! would cost more than most builds take. Instead items have *epochs*: an epoch is settled when the whole file system
//! was synced after it ended (every 10,000 items or GiB, and when the store is closed), and when the store is opened
//! after the machine went down, items of epochs that were not settled are valid only if their hash still is right.

mod export;
mod import;
mod index;
mod layout;
mod local;
mod open;
mod record;
mod settle;

pub(crate) use import::{NewItem, is_full};
pub use index::{Hold, Missing};
pub(crate) use layout::Layout;
pub(crate) use open::Inner;
pub use open::{OpenError, SandboxStore};
