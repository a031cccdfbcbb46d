//! Names of store items.

use crate::StorePath;

/// Why bytes are no name of a store item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("the name is empty")]
    Empty,
    /// The name has more than 211 bytes.
    #[error("the name has {0} bytes, more than {max}", max = StorePath::MAX_NAME)]
    Long(usize),
    /// The name starts with a dot.
    #[error("the name starts with `.`")]
    Dot,
    /// A byte that names may not contain.
    #[error("`{}` at byte {offset} may not be in a name", .byte.escape_ascii())]
    Character {
        /// Where, from the start of the name.
        offset: usize,
        /// The byte.
        byte: u8,
    },
}

/// The bytes that names consist of, in Guix as in Nix: `checkStoreName`.
const NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'_' | b'?' | b'=');
        byte += 1;
    }
    table
};

/// Checks a name and returns it as text.
pub(crate) fn check_name(name: &[u8]) -> Result<&str, NameError> {
    if name.len() > StorePath::MAX_NAME {
        return Err(NameError::Long(name.len()));
    }
    check_name_bytes(name)
}

/// Checks a name but for its length.
pub(crate) fn check_name_bytes(name: &[u8]) -> Result<&str, NameError> {
    match name.first() {
        None => return Err(NameError::Empty),
        Some(b'.') => return Err(NameError::Dot),
        Some(_) => {}
    }
    let bad = |offset: usize| NameError::Character {
        offset,
        byte: name[offset],
    };
    if let Some(offset) = name.iter().position(|byte| !NAME_BYTES[usize::from(*byte)]) {
        return Err(bad(offset));
    }
    std::str::from_utf8(name).map_err(|error| bad(error.valid_up_to()))
}
