//! The value.

use std::fmt;
use zeroize::Zeroize as _;

/// An S-expression: bytes, or a list.
///
/// Exhaustive: there is no third kind.
#[derive(Clone, PartialEq, Eq)]
pub enum Sexp {
    /// A string of bytes.
    Atom(Vec<u8>),
    /// A list.
    List(Vec<Self>),
}

impl Sexp {
    /// The most bytes of input that [`Sexp::parse`] looks at: a list of a thousand keys has a fifth of it.
    pub const MAX_SIZE: usize = 1 << 20;
    /// The deepest nesting of lists. Keys, signatures and access-control lists need 5.
    pub const MAX_DEPTH: usize = 32;

    /// An atom.
    #[must_use]
    pub fn atom(bytes: impl AsRef<[u8]>) -> Self {
        Self::Atom(bytes.as_ref().to_vec())
    }

    /// A list.
    #[must_use]
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(items.into_iter().collect())
    }

    /// The bytes, if it is an atom.
    #[must_use]
    pub fn as_atom(&self) -> Option<&[u8]> {
        match self {
            Self::Atom(bytes) => Some(bytes),
            Self::List(_) => None,
        }
    }

    /// The elements, if it is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::Atom(_) => None,
            Self::List(items) => Some(items),
        }
    }

    /// What follows `name` in a list that starts with it.
    #[must_use]
    pub fn tagged(&self, name: &str) -> Option<&[Self]> {
        let (first, rest) = self.as_list()?.split_first()?;
        (first.as_atom()? == name.as_bytes()).then_some(rest)
    }

    /// The one element that follows `name` in a list of two.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<&Self> {
        match self.tagged(name)? {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Overwrites all bytes: for those that held a secret.
    pub(crate) fn wipe(&mut self) {
        match self {
            Self::Atom(bytes) => bytes.zeroize(),
            Self::List(items) => items.iter_mut().for_each(Self::wipe),
        }
    }
}

/// Shows the shape and sizes, not the bytes: an expression may hold a secret key.
impl fmt::Debug for Sexp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atom(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::List(items) => f.debug_list().entries(items).finish(),
        }
    }
}
