//! Store paths: `/gnu/store/HASH-NAME`.

use crate::name::check_name;
use crate::{NameError, StoreDir, base32};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The path of a store item. Displayed in full; ordered as its text is; cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StorePath {
    digest: [u8; 20],
    name: Arc<str>,
    store: StoreDir,
}

/// Why bytes are no store path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorePathError {
    /// It does not lie directly in the store.
    #[error("`{path}` is not in the store `{store}`")]
    OtherStore {
        /// The text, printable.
        path: String,
        /// The store asked for.
        store: StoreDir,
    },
    /// There is no directory before the last `/` that could be a store.
    #[error("`{0}` is not in any store")]
    NoStore(String),
    /// The 32 characters after the store are no hash followed by `-`.
    #[error("`{path}` has no hash and `-` after the store directory")]
    HashPart {
        /// The text, printable.
        path: String,
        /// What is wrong with the characters, if there are 32.
        source: Option<base32::Error>,
    },
    /// The name is not one.
    #[error("`{path}` has no valid name")]
    Name {
        /// The text, printable.
        path: String,
        /// What is wrong.
        source: NameError,
    },
}

impl StorePath {
    /// The most bytes that a name has: with hash and `-` it must fit a file name, with room for `.lock` and the like.
    pub const MAX_NAME: usize = 211;

    /// Puts a path together.
    ///
    /// # Errors
    /// If the name is not one.
    pub fn new(store: &StoreDir, digest: [u8; 20], name: &str) -> Result<Self, NameError> {
        let name = check_name(name.as_bytes())?.into();
        Ok(Self {
            digest,
            name,
            store: store.clone(),
        })
    }

    /// Reads a path of this store.
    ///
    /// # Errors
    /// If the text lies elsewhere, deeper, or is not `HASH-NAME`.
    pub fn parse(store: &StoreDir, path: impl AsRef<[u8]>) -> Result<Self, StorePathError> {
        let path = path.as_ref();
        let Some(base) = path
            .strip_prefix(store.as_str().as_bytes())
            .and_then(|rest| rest.strip_prefix(b"/"))
        else {
            return Err(StorePathError::OtherStore {
                path: printable(path),
                store: store.clone(),
            });
        };
        Self::parse_base(store, base, path)
    }

    /// Reads a path of whatever store: all before the last `/`.
    ///
    /// # Errors
    /// If there is no absolute directory before it, or what follows is not `HASH-NAME`.
    pub fn parse_any(path: impl AsRef<[u8]>) -> Result<Self, StorePathError> {
        let path = path.as_ref();
        let no_store = || StorePathError::NoStore(printable(path));
        let at = path
            .iter()
            .rposition(|byte| *byte == b'/')
            .ok_or_else(no_store)?;
        let directory = std::str::from_utf8(&path[..at]).map_err(|_| no_store())?;
        let store = StoreDir::new(directory).map_err(|_| no_store())?;
        Self::parse_base(&store, &path[at + 1..], path)
    }

    /// Reads the item that a path lies in (`/gnu/store/HASH-NAME/bin/x`), and returns what follows it.
    ///
    /// # Errors
    /// As [`StorePath::parse`] for the item.
    pub fn parse_inside<'a>(
        store: &StoreDir,
        path: &'a [u8],
    ) -> Result<(Self, &'a [u8]), StorePathError> {
        let start = store.as_str().len() + 1;
        let end = path
            .iter()
            .skip(start)
            .position(|byte| *byte == b'/')
            .map_or(path.len(), |at| start + at);
        Ok((Self::parse(store, &path[..end])?, &path[end..]))
    }

    /// Reads `HASH-NAME`, what a store's directory lists.
    ///
    /// # Errors
    /// If it is not that.
    pub fn from_base_name(
        store: &StoreDir,
        base: impl AsRef<[u8]>,
    ) -> Result<Self, StorePathError> {
        Self::parse_base(store, base.as_ref(), base.as_ref())
    }

    fn parse_base(store: &StoreDir, base: &[u8], path: &[u8]) -> Result<Self, StorePathError> {
        let hash_part = |source| StorePathError::HashPart {
            path: printable(path),
            source,
        };
        let Some((hash, rest)) = base.split_at_checked(32) else {
            return Err(hash_part(None));
        };
        let digest = base32::decode_digest(hash).map_err(|error| hash_part(Some(error)))?;
        let name = rest.strip_prefix(b"-").ok_or_else(|| hash_part(None))?;
        match check_name(name) {
            Ok(name) => Ok(Self {
                digest,
                name: name.into(),
                store: store.clone(),
            }),
            Err(source) => Err(StorePathError::Name {
                path: printable(path),
                source,
            }),
        }
    }

    /// The store it lies in.
    #[must_use]
    pub const fn store(&self) -> &StoreDir {
        &self.store
    }

    /// The 20 bytes that identify it within its store.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 20] {
        &self.digest
    }

    /// The name, after hash and `-`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest in base 32: the 32 characters after the store directory.
    #[must_use]
    pub fn hash_part(&self) -> String {
        base32::encode_digest(&self.digest)
            .into_iter()
            .map(char::from)
            .collect()
    }

    /// `HASH-NAME`.
    #[must_use]
    pub fn base_name(&self) -> String {
        let mut base = self.hash_part();
        base.push('-');
        base.push_str(&self.name);
        base
    }

    /// Whether the name ends in `.drv`.
    #[must_use]
    pub fn is_derivation(&self) -> bool {
        self.name.ends_with(".drv")
    }

    /// The name without `.drv`, if it is a derivation's.
    #[must_use]
    pub fn derivation_name(&self) -> Option<&str> {
        self.name.strip_suffix(".drv")
    }

    /// Appends the full text.
    pub(crate) fn push_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.store.as_str().as_bytes());
        out.push(b'/');
        out.extend_from_slice(&base32::encode_digest(&self.digest));
        out.push(b'-');
        out.extend_from_slice(self.name.as_bytes());
    }
}

impl Ord for StorePath {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.store != other.store {
            // One store may lie in another, so only the whole text tells.
            return self.to_string().cmp(&other.to_string());
        }
        // Base 32 prints the last byte first, and its digits are in ASCII order.
        let (one, another) = (numbers(&self.digest), numbers(&other.digest));
        one.cmp(&another).then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for StorePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}-{}", self.store, self.hash_part(), self.name)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The digest as a number of 160 bits whose first byte is the least significant: upper 128 bits, lower 32.
fn numbers(digest: &[u8; 20]) -> (u128, u32) {
    let (mut low, mut high) = ([0; 4], [0; 16]);
    low.copy_from_slice(&digest[..4]);
    high.copy_from_slice(&digest[4..]);
    (u128::from_le_bytes(high), u32::from_le_bytes(low))
}

/// At most 300 bytes of a text that may be anything, for messages.
pub(crate) fn printable(text: &[u8]) -> String {
    let (shown, more) = if text.len() > 300 {
        (&text[..300], "...")
    } else {
        (text, "")
    };
    format!("{}{more}", shown.escape_ascii())
}
