//! Which bytes are printed how.

/// Whether an atom may contain the byte without quotation marks.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-./_:*+=".contains(&byte)
}

/// Whether the byte stands for itself between quotation marks.
pub(super) const fn is_text(byte: u8) -> bool {
    !matches!(byte, 0..0x20 | 0x7f..=0xa0 | b'"' | b'\'' | b'\\')
}

/// What follows the backslash that stands for the byte.
pub(super) fn escape(byte: u8) -> Option<u8> {
    ESCAPES
        .iter()
        .find(|(plain, _)| *plain == byte)
        .map(|(_, escaped)| *escaped)
}

/// What a backslash and this byte stand for.
pub(super) fn unescape(escaped: u8) -> Option<u8> {
    ESCAPES
        .iter()
        .find(|(_, other)| *other == escaped)
        .map(|(plain, _)| *plain)
}

const ESCAPES: [(u8, u8); 9] = [
    (0x08, b'b'),
    (b'\t', b't'),
    (0x0b, b'v'),
    (b'\n', b'n'),
    (0x0c, b'f'),
    (b'\r', b'r'),
    (b'"', b'"'),
    (b'\'', b'\''),
    (b'\\', b'\\'),
];
