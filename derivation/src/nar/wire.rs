//! The strings of the format, as the bytes that stand for them.

/// The longest name of an entry: `NAME_MAX` of the file systems that stores lie on.
pub const MAX_NAME: usize = 255;
/// The longest target of a symbolic link: `PATH_MAX` without its zero byte.
pub const MAX_TARGET: usize = 4095;
/// The deepest nesting of directories. Real trees reach a few dozen.
pub const MAX_DEPTH: usize = 512;

macro_rules! open {
    () => {
        "\x01\0\0\0\0\0\0\0(\0\0\0\0\0\0\0"
    };
}
macro_rules! close {
    () => {
        "\x01\0\0\0\0\0\0\0)\0\0\0\0\0\0\0"
    };
}
macro_rules! kind {
    () => {
        "\x04\0\0\0\0\0\0\0type\0\0\0\0"
    };
}
macro_rules! contents {
    () => {
        "\x08\0\0\0\0\0\0\0contents"
    };
}

pub(super) const MAGIC: &[u8] =
    concat!("\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0", open!(), kind!()).as_bytes();
pub(super) const NODE: &[u8] =
    concat!("\x04\0\0\0\0\0\0\0node\0\0\0\0", open!(), kind!()).as_bytes();
pub(super) const NAME: &[u8] = concat!(open!(), "\x04\0\0\0\0\0\0\0name\0\0\0\0").as_bytes();
pub(super) const TARGET: &[u8] = b"\x06\0\0\0\0\0\0\0target\0\0";
pub(super) const CLOSE: &[u8] = close!().as_bytes();
pub(super) const CLOSE_BOTH: &[u8] = concat!(close!(), close!()).as_bytes();

pub(super) const REGULAR: &[u8; 16] = b"\x07\0\0\0\0\0\0\0regular\0";
pub(super) const SYMLINK: &[u8; 16] = b"\x07\0\0\0\0\0\0\0symlink\0";
/// The first 16 bytes of `directory`.
pub(super) const DIRECTORY: &[u8; 16] = b"\x09\0\0\0\0\0\0\0director";
pub(super) const DIRECTORY_REST: &[u8] = b"y\0\0\0\0\0\0\0";
pub(super) const ENTRY: &[u8; 16] = b"\x05\0\0\0\0\0\0\0entry\0\0\0";
pub(super) const CONTENTS: &[u8; 16] = b"\x08\0\0\0\0\0\0\0contents";
/// The first 16 bytes of `executable`.
pub(super) const EXECUTABLE: &[u8; 16] = b"\x0a\0\0\0\0\0\0\0executab";
/// The rest of it, the empty string, and `contents`.
pub(super) const EXECUTABLE_REST: &[u8] =
    concat!("le\0\0\0\0\0\0", "\0\0\0\0\0\0\0\0", contents!()).as_bytes();

/// How many zeros follow a string of this length.
pub(super) const fn padding(length: u64) -> usize {
    ((8 - length % 8) % 8) as usize
}

/// Whether an entry can have this name.
pub(super) fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// Whether a symbolic link can have this target.
pub(super) fn is_target(target: &[u8]) -> bool {
    !target.is_empty() && !target.contains(&0)
}
