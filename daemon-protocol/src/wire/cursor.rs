//! Reading.

use grange_derivation::{Hash, HashAlgo, StoreDir, StorePath};
use grange_model::NarHash;

use super::{ReadError, WireError};

/// The most bytes that a string may have.
pub const MAX_TEXT: u64 = 16 << 20;
/// The most items that a list may have.
pub const MAX_ITEMS: u64 = 1 << 20;

/// Reads from bytes of which more may come.
#[derive(Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of what has come.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// An integer.
    ///
    /// # Errors
    /// [`ReadError::Incomplete`].
    pub fn number(&mut self) -> Result<u64, ReadError> {
        let mut number = [0; 8];
        number.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(number))
    }

    /// A truth value.
    ///
    /// # Errors
    /// If it is neither 0 nor 1.
    pub fn flag(&mut self) -> Result<bool, ReadError> {
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(WireError::Flag(other).into()),
        }
    }

    /// A string.
    ///
    /// # Errors
    /// If it has more than [`MAX_TEXT`] bytes, or the padding is not zero.
    pub fn bytes(&mut self) -> Result<&'a [u8], ReadError> {
        let length = self.number()?;
        let size = bounded("a string", length, MAX_TEXT)?;
        let string = self.take(size)?;
        let padding = self.take(size.wrapping_neg() % 8)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(WireError::Padding.into());
        }
        Ok(string)
    }

    /// A string for people; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// As [`Cursor::bytes`].
    pub fn text(&mut self) -> Result<String, ReadError> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// A path of this store.
    ///
    /// # Errors
    /// As [`Cursor::bytes`]; if it is none.
    pub fn path(&mut self, store: &StoreDir) -> Result<StorePath, ReadError> {
        let text = self.bytes()?;
        StorePath::parse(store, text).map_err(|_| not_a_path(text))
    }

    /// A path of this store, or an empty string for none.
    ///
    /// # Errors
    /// As [`Cursor::path`].
    pub fn optional_path(&mut self, store: &StoreDir) -> Result<Option<StorePath>, ReadError> {
        match self.bytes()? {
            b"" => Ok(None),
            text => StorePath::parse(store, text)
                .map(Some)
                .map_err(|_| not_a_path(text)),
        }
    }

    /// A SHA-256 in base 16.
    ///
    /// # Errors
    /// If it is none.
    pub fn sha256(&mut self) -> Result<NarHash, ReadError> {
        let text = self.bytes()?;
        let hash = std::str::from_utf8(text)
            .ok()
            .and_then(|text| Hash::parse(HashAlgo::Sha256, text).ok())
            .and_then(|hash| hash.to_sha256());
        let bad = || WireError::Hash(printable(text)).into();
        hash.map(NarHash).ok_or_else(bad)
    }

    /// A list.
    ///
    /// # Errors
    /// If it has more than [`MAX_ITEMS`] items, or one is not right.
    pub fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let count = bounded("a list", self.number()?, MAX_ITEMS)?;
        // No item is shorter than a number.
        let come = (self.bytes.len() - self.at) / 8;
        let mut items = Vec::with_capacity(count.min(come));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A list of paths of this store.
    ///
    /// # Errors
    /// As [`Cursor::list`] and [`Cursor::path`].
    pub fn paths(&mut self, store: &StoreDir) -> Result<Vec<StorePath>, ReadError> {
        self.list(|cursor| cursor.path(store))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or(ReadError::Incomplete)?;
        self.at += count;
        Ok(taken)
    }
}

fn bounded(what: &'static str, length: u64, limit: u64) -> Result<usize, WireError> {
    let too_long = WireError::TooLong {
        what,
        length,
        limit,
    };
    match usize::try_from(length) {
        Ok(size) if length <= limit => Ok(size),
        _ => Err(too_long),
    }
}

fn not_a_path(text: &[u8]) -> ReadError {
    WireError::StorePath(printable(text)).into()
}

/// At most 200 bytes of what may be anything, for messages.
pub(crate) fn printable(text: &[u8]) -> String {
    let shown = &text[..text.len().min(200)];
    let more = if shown.len() < text.len() { "..." } else { "" };
    format!("{}{more}", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Request;

    #[test]
    fn strings_are_padded_with_zeros() {
        let bytes = [
            5, 0, 0, 0, 0, 0, 0, 0, b'h', b'e', b'l', b'l', b'o', 0, 0, 0,
        ];
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(cursor.bytes(), Ok(&b"hello"[..]));
        assert_eq!(cursor.position(), 16);
        for end in 0..16 {
            let cut = Cursor::new(&bytes[..end]).bytes();
            assert_eq!(cut, Err(ReadError::Incomplete), "{end}");
        }
        let mut other = bytes;
        other[15] = 1;
        assert_eq!(Cursor::new(&other).bytes(), Err(WireError::Padding.into()));
        let mut empty = Request::empty();
        empty.bytes(b"");
        assert_eq!(Cursor::new(empty.as_bytes()).bytes(), Ok(&b""[..]));
    }

    #[test]
    fn nothing_is_longer_than_it_may_be() {
        let huge = u64::MAX.to_le_bytes();
        assert!(matches!(
            Cursor::new(&huge).bytes(),
            Err(ReadError::Bad(WireError::TooLong { .. }))
        ));
        assert!(matches!(
            Cursor::new(&huge).list(Cursor::number),
            Err(ReadError::Bad(WireError::TooLong { .. }))
        ));
        let most = MAX_ITEMS.to_le_bytes();
        assert_eq!(
            Cursor::new(&most).list(Cursor::number),
            Err(ReadError::Incomplete)
        );
    }

    #[test]
    fn paths_hashes_and_flags_are_checked() {
        let mut request = Request::empty();
        request.bytes(b"/gnu/store/../etc/passwd").number(2);
        let mut cursor = Cursor::new(request.as_bytes());
        let path = cursor.path(&StoreDir::guix());
        assert!(matches!(path, Err(ReadError::Bad(WireError::StorePath(_)))));
        assert_eq!(cursor.flag(), Err(WireError::Flag(2).into()));
        let mut request = Request::empty();
        request.bytes(b"xyz");
        let hash = Cursor::new(request.as_bytes()).sha256();
        assert!(matches!(hash, Err(ReadError::Bad(WireError::Hash(_)))));
    }
}
