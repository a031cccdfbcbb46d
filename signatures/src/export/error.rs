//! Why bytes are no export archive.

use grange_derivation::{StorePathError, nar};

/// Why bytes are no export archive, and where. Offsets count from the archive's first byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something else should be there.
    #[error("not an export archive: at byte {offset} there should be {expected}")]
    Expected {
        /// Where.
        offset: u64,
        /// What should be there.
        expected: &'static str,
    },
    /// An item's nar is none. The source's offsets count from the nar's first byte.
    #[error("the nar that starts at byte {start} of the export archive is not good")]
    Nar {
        /// Where the nar starts.
        start: u64,
        /// What is wrong with it.
        source: nar::Error,
    },
    /// A path is none of the store.
    #[error("the {what} before byte {offset} of the export archive is not usable")]
    Path {
        /// Where it ends.
        offset: u64,
        /// `path`, `reference` or `deriver`.
        what: &'static str,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// A reference comes twice.
    #[error("a reference before byte {offset} of the export archive comes twice: {reference}")]
    Duplicate {
        /// Where the second ends.
        offset: u64,
        /// The reference.
        reference: String,
    },
    /// A string or list is too long.
    #[error(
        "not an export archive: at byte {offset}, the {what} has a length of {length}, more than {most}"
    )]
    TooLong {
        /// Where the length stands.
        offset: u64,
        /// What it is the length of.
        what: &'static str,
        /// The length.
        length: u64,
        /// The most that is read.
        most: u64,
    },
    /// Padding is not zero.
    #[error("not an export archive: the padding before byte {offset} is not zero")]
    Padding {
        /// Where it ends.
        offset: u64,
    },
    /// The bytes end within the archive.
    #[error("the export archive ends at byte {offset}, where there should be {expected}")]
    Truncated {
        /// The number of bytes.
        offset: u64,
        /// What should have come.
        expected: &'static str,
    },
    /// There are bytes after the archive.
    #[error("the export archive ended at byte {offset}, but more bytes follow")]
    Trailing {
        /// The archive's size.
        offset: u64,
    },
}
