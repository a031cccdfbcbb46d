//! What a nar is made of.

/// A part of a nar, in the order of the stream. A node is one of
///
/// - `StartDirectory`, then for each entry `Entry` and the entry's node, then `EndDirectory`;
/// - `Regular`, then `Data` with `size` bytes in all (none if it is 0), then `EndRegular`;
/// - `Symlink`.
///
/// Exhaustive: the format has been the same for twenty years, and a reader that skips a part reads another tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A directory starts.
    StartDirectory,
    /// The name of the directory's next entry; its node follows.
    Entry(&'a [u8]),
    /// The innermost directory ends.
    EndDirectory,
    /// A file starts.
    Regular {
        /// Whether it is executable.
        executable: bool,
        /// How many bytes it has.
        size: u64,
    },
    /// Some of the file's bytes; never empty.
    Data(&'a [u8]),
    /// The file ends.
    EndRegular,
    /// A symbolic link and what it points to.
    Symlink(&'a [u8]),
}
