//! Printing, in either representation.

use super::{Sexp, escape, is_text, is_token};

const HEX: &[u8; 16] = b"0123456789ABCDEF";

impl Sexp {
    /// The canonical representation: the bytes that two equal expressions have in common.
    #[must_use]
    pub fn to_canonical(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.push_canonical(&mut out);
        out
    }

    /// The advanced representation byte for byte as libgcrypt prints it, with a final newline.
    ///
    /// Bytes, not text: libgcrypt prints what is neither a control character nor starts with a high bit between
    /// quotation marks, in whatever encoding it is.
    #[must_use]
    pub fn to_advanced(&self) -> Vec<u8> {
        // Enough for any secret key: what a growing buffer leaves behind is not overwritten.
        let mut out = Vec::with_capacity(1024);
        self.push_advanced(&mut out, 0);
        out.push(b'\n');
        out
    }

    fn push_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::Atom(bytes) => {
                out.extend_from_slice(bytes.len().to_string().as_bytes());
                out.push(b':');
                out.extend_from_slice(bytes);
            }
            Self::List(items) => {
                out.push(b'(');
                items.iter().for_each(|item| item.push_canonical(out));
                out.push(b')');
            }
        }
    }

    /// A list starts on a line of its own, an atom is followed by a space unless it ends its list, and a list's end is
    /// followed by a new line unless another list or nothing comes.
    fn push_advanced(&self, out: &mut Vec<u8>, depth: usize) {
        let items = match self {
            Self::Atom(bytes) => return push_atom(bytes, out),
            Self::List(items) => items,
        };
        if depth > 0 {
            push_line(out, depth);
        }
        out.push(b'(');
        for (at, item) in items.iter().enumerate() {
            item.push_advanced(out, depth + 1);
            match (item, items.get(at + 1)) {
                (Self::Atom(_), Some(_)) => out.push(b' '),
                (Self::List(_), None | Some(Self::Atom(_))) => push_line(out, depth + 1),
                (Self::Atom(_), None) | (Self::List(_), Some(Self::List(_))) => {}
            }
        }
        out.push(b')');
    }
}

fn push_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + depth, b' ');
}

fn push_atom(bytes: &[u8], out: &mut Vec<u8>) {
    match bytes.first() {
        // A high bit would be a negative number, a zero starts no text.
        Some(0 | 0x80..) => return push_hex(bytes, out),
        Some(first) if !first.is_ascii_digit() && bytes.iter().copied().all(is_token) => {
            return out.extend_from_slice(bytes);
        }
        _ => {}
    }
    if !bytes
        .iter()
        .copied()
        .all(|byte| is_text(byte) || escape(byte).is_some())
    {
        return push_hex(bytes, out);
    }
    out.push(b'"');
    for &byte in bytes {
        match escape(byte) {
            Some(escaped) => out.extend_from_slice(&[b'\\', escaped]),
            None => out.push(byte),
        }
    }
    out.push(b'"');
}

fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'#');
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
    out.push(b'#');
}
