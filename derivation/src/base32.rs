//! Nix's base 32: the digits of one large little-endian number, most significant digit first.
//!
//! It is not RFC 4648: the alphabet leaves out `e`, `o`, `t` and `u`, the order of bits is reversed, and there is no
//! padding character. Digits are in ASCII order, so two texts of one length compare as their numbers do.

/// The 32 digits, in order.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// What marks a byte that is no digit in [`DIGITS`].
const NONE: u8 = 0xff;

/// The value of each byte as a digit, or [`NONE`].
const DIGITS: [u8; 256] = {
    let mut digits = [NONE; 256];
    let mut value = 0;
    while value < 32 {
        digits[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Why a text is not base 32 of so many bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text has another length than the bytes take.
    #[error("has {found} base-32 characters where {expected} are needed")]
    Length {
        /// Characters needed.
        expected: usize,
        /// Characters given.
        found: usize,
    },
    /// A byte is not of the alphabet.
    #[error("`{}` at byte {offset} is not a base-32 character", .byte.escape_ascii())]
    Character {
        /// Where, from the start of the text.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// The first character has bits beyond the last byte.
    #[error("the first base-32 character is too large for the length")]
    Padding,
}

/// The number of characters that `len` bytes take.
#[must_use]
pub const fn encoded_len(len: usize) -> usize {
    (len * 8).div_ceil(5)
}

/// Whether `byte` is a digit.
#[must_use]
pub const fn is_digit(byte: u8) -> bool {
    DIGITS[byte as usize] != NONE
}

/// The value of a digit, 0 for what is none.
pub(crate) const fn digit(byte: u8) -> u8 {
    DIGITS[byte as usize] & 31
}

/// Encodes bytes; `encoded_len(bytes.len())` characters.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let digit = |n: usize| {
        let (byte, shift) = (n * 5 / 8, n * 5 % 8);
        let low = u16::from(bytes[byte]);
        let high = u16::from(bytes.get(byte + 1).copied().unwrap_or(0));
        char::from(ALPHABET[((high << 8 | low) >> shift & 31) as usize])
    };
    (0..encoded_len(bytes.len())).rev().map(digit).collect()
}

/// Encodes the 20 bytes of a store path's digest.
#[must_use]
pub fn encode_digest(digest: &[u8; 20]) -> [u8; 32] {
    let mut text = [0; 32];
    for (group, out) in digest.chunks_exact(5).zip(text.rchunks_exact_mut(8)) {
        let bits = group
            .iter()
            .rev()
            .fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        for (n, out) in out.iter_mut().rev().enumerate() {
            *out = ALPHABET[(bits >> (5 * n) & 31) as usize];
        }
    }
    text
}

/// Decodes a text that stands for `len` bytes.
///
/// # Errors
/// If the text has another length, another character, or bits beyond the last byte.
pub fn decode(text: impl AsRef<[u8]>, len: usize) -> Result<Vec<u8>, Error> {
    let text = text.as_ref();
    check_length(text, encoded_len(len))?;
    let mut bytes = vec![0; len];
    for (n, &byte) in text.iter().rev().enumerate() {
        let value = DIGITS[byte as usize];
        if value == NONE {
            return Err(no_digit(text));
        }
        let (at, shift) = (n * 5 / 8, n * 5 % 8);
        let bits = u16::from(value) << shift;
        bytes[at] |= bits as u8;
        let high = (bits >> 8) as u8;
        match bytes.get_mut(at + 1) {
            Some(next) => *next |= high,
            None if high != 0 => return Err(Error::Padding),
            None => {}
        }
    }
    Ok(bytes)
}

/// Decodes the 32 characters of a store path's digest.
///
/// # Errors
/// If there are not 32 characters, or one is not of the alphabet.
pub fn decode_digest(text: &[u8]) -> Result<[u8; 20], Error> {
    check_length(text, 32)?;
    let mut digest = [0; 20];
    let mut seen = 0;
    for (group, out) in text.rchunks_exact(8).zip(digest.chunks_exact_mut(5)) {
        let mut bits = 0u64;
        for &byte in group {
            let value = DIGITS[byte as usize];
            seen |= value;
            bits = bits << 5 | u64::from(value & 31);
        }
        out.copy_from_slice(&bits.to_le_bytes()[..5]);
    }
    if seen > 31 {
        Err(no_digit(text))
    } else {
        Ok(digest)
    }
}

fn check_length(text: &[u8], expected: usize) -> Result<(), Error> {
    if text.len() == expected {
        Ok(())
    } else {
        Err(Error::Length {
            expected,
            found: text.len(),
        })
    }
}

fn no_digit(text: &[u8]) -> Error {
    let (offset, byte) = text
        .iter()
        .copied()
        .enumerate()
        .find(|(_, byte)| !is_digit(*byte))
        .unwrap_or((0, 0));
    Error::Character { offset, byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_text() {
        // Nix's manual: the sha256 of nothing.
        let empty = crate::Hash::sha256(b"");
        assert_eq!(
            encode(empty.as_bytes()),
            "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
        );
    }

    #[test]
    fn padding_bits_are_refused() {
        let text = encode(&[0xff; 32]);
        assert!(
            text.starts_with('1'),
            "32 bytes leave one bit in the first character: {text}"
        );
        for first in ALPHABET[2..].iter() {
            let mut bad = text.clone().into_bytes();
            bad[0] = *first;
            assert_eq!(decode(&bad, 32), Err(Error::Padding));
        }
    }

    #[test]
    fn bad_texts() {
        assert_eq!(
            decode("e0", 1),
            Err(Error::Character {
                offset: 0,
                byte: b'e'
            })
        );
        assert_eq!(
            decode("0", 1),
            Err(Error::Length {
                expected: 2,
                found: 1
            })
        );
        assert_eq!(
            decode_digest(&[b'u'; 32]),
            Err(Error::Character {
                offset: 0,
                byte: b'u'
            })
        );
        assert_eq!(decode("", 0), Ok(vec![]));
    }
}
