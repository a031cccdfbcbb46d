//! Why bytes are not a nar.

use super::wire::{MAX_DEPTH, MAX_NAME, MAX_TARGET};

/// Why bytes are not a nar, and where. Offsets count from the nar's first byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something else should be there.
    #[error("not a nar: at byte {offset} there should be {expected}")]
    Expected {
        /// Where.
        offset: u64,
        /// What should be there.
        expected: &'static str,
    },
    /// The bytes end within the nar.
    #[error("not a nar: it ends at byte {offset}, where there should be {expected}")]
    Truncated {
        /// The number of bytes.
        offset: u64,
        /// What should have come.
        expected: &'static str,
    },
    /// There are bytes after the nar.
    #[error("not a nar: it ended at byte {offset}, but more bytes follow")]
    Trailing {
        /// The nar's size.
        offset: u64,
    },
    /// Padding is not zero.
    #[error("not a nar: the padding before byte {offset} is not zero")]
    Padding {
        /// Where the padding ends or is wrong.
        offset: u64,
    },
    /// A name or target is too long.
    #[error("not a nar: the {what} at byte {offset} has {length} bytes, more than {}", if *.what == "name" { MAX_NAME } else { MAX_TARGET })]
    TooLong {
        /// `name` or `target`.
        what: &'static str,
        /// Where its length stands.
        offset: u64,
        /// The length.
        length: u64,
    },
    /// A file is larger than any can be.
    #[error("not a nar: the file at byte {offset} is said to have {size} bytes")]
    FileSize {
        /// Where its size stands.
        offset: u64,
        /// The size.
        size: u64,
    },
    /// An entry cannot have this name.
    #[error("not a nar: `{name}` at byte {offset} cannot be the name of an entry")]
    Name {
        /// Where the name ends.
        offset: u64,
        /// The name, printable.
        name: String,
    },
    /// Entries are not strictly increasing.
    #[error("not a nar: at byte {offset}, entry `{name}` does not sort after `{previous}`")]
    Order {
        /// Where the name ends.
        offset: u64,
        /// The name, printable.
        name: String,
        /// The name before it, printable.
        previous: String,
    },
    /// A symbolic link cannot point to this.
    #[error(
        "not a nar: the symbolic link's target before byte {offset} is empty or contains a zero byte"
    )]
    Target {
        /// Where the target ends.
        offset: u64,
    },
    /// Directories are nested too deeply.
    #[error(
        "not a nar that can be handled: at byte {offset}, directories are nested more than {MAX_DEPTH} deep"
    )]
    Depth {
        /// Where the directory starts.
        offset: u64,
    },
    /// An encoder was asked to write what no nar contains.
    #[error("{0} cannot be written at this place of a nar")]
    Misplaced(&'static str),
    /// An encoder was given another number of bytes than the file was said to have.
    #[error(
        "the file was said to have more bytes than it was given, or fewer: {left} are left, {given} were given"
    )]
    Size {
        /// The bytes still to come.
        left: u64,
        /// The bytes given.
        given: u64,
    },
}
