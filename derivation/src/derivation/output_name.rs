//! Names of outputs: nearly always `out`.

use crate::NameError;
use crate::name::check_name_bytes;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The name of an output, which can be part of a store item's name. Cheap to clone; `out` allocates nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct OutputName(Option<Arc<str>>);

const OUT: &str = "out";

impl OutputName {
    /// `out`.
    #[must_use]
    pub const fn out() -> Self {
        Self(None)
    }

    /// Any name.
    ///
    /// # Errors
    /// If a store item's name could not end in it.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Self, NameError> {
        match check_name_bytes(name.as_ref())? {
            OUT => Ok(Self::out()),
            other => Ok(Self(Some(other.into()))),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(OUT)
    }

    /// Whether it is `out`.
    #[must_use]
    pub const fn is_out(&self) -> bool {
        self.0.is_none()
    }
}

impl Default for OutputName {
    fn default() -> Self {
        Self::out()
    }
}

impl std::hash::Hash for OutputName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Ord for OutputName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for OutputName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Borrow<str> for OutputName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for OutputName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for OutputName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for OutputName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl std::str::FromStr for OutputName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}
