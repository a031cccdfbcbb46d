//! The numbers and strings of the format.

/// What stands before each item: there is one more.
pub const ITEM: [u8; 8] = 1u64.to_le_bytes();
/// What ends an archive.
pub const END: [u8; 8] = [0; 8];

/// The longest path that is read, in bytes: `PATH_MAX`.
pub const MAX_PATH: usize = 4095;
/// The most references that are read for one item. Real items have a few thousand at most.
pub const MAX_REFERENCES: u64 = 100_000;
/// The longest signature that is read, in bytes. One by the largest RSA key in use has a few thousand.
pub const MAX_SIGNATURE: usize = 1 << 16;

/// What stands between nar and path: `NIXE`.
pub(super) const MAGIC: u64 = 0x4558_494e;

pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn push_string(out: &mut Vec<u8>, string: &[u8]) {
    push_number(out, string.len() as u64);
    out.extend_from_slice(string);
    out.resize(out.len() + padding(string.len()), 0);
}

/// How many zeros follow a string of this length.
pub(super) const fn padding(length: usize) -> usize {
    length.wrapping_neg() % 8
}
