//! Where a store lies. Every store path's hash covers it.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The directory of a store: `/gnu/store`, `/nix/store`, or any other absolute one. Ordered as text; cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StoreDir(Repr);

/// The two common directories cost no allocation and no reference count; `Other` is never one of them.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Guix,
    Nix,
    Other(Arc<str>),
}

const GUIX: &str = "/gnu/store";
const NIX: &str = "/nix/store";

/// Why a text is no store directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "`{0}` is not an absolute directory in its plainest form (no `//`, `.`, `..`, trailing `/`, control character)"
)]
pub struct StoreDirError(String);

impl StoreDir {
    /// `/gnu/store`.
    #[must_use]
    pub const fn guix() -> Self {
        Self(Repr::Guix)
    }

    /// `/nix/store`.
    #[must_use]
    pub const fn nix() -> Self {
        Self(Repr::Nix)
    }

    /// Any other store.
    ///
    /// # Errors
    /// If `directory` is not absolute, or not in its plainest form: paths are compared as text.
    pub fn new(directory: &str) -> Result<Self, StoreDirError> {
        let plain = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && !part.contains(char::is_control)
        };
        match directory {
            GUIX => Ok(Self::guix()),
            NIX => Ok(Self::nix()),
            _ if directory
                .strip_prefix('/')
                .is_some_and(|rest| rest.split('/').all(plain)) =>
            {
                Ok(Self(Repr::Other(directory.into())))
            }
            _ => Err(StoreDirError(directory.escape_debug().to_string())),
        }
    }

    /// The directory, without a trailing `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Guix => GUIX,
            Repr::Nix => NIX,
            Repr::Other(directory) => directory,
        }
    }
}

impl Ord for StoreDir {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for StoreDir {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl std::str::FromStr for StoreDir {
    type Err = StoreDirError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_absolute_directories_only() {
        assert_eq!(StoreDir::new("/gnu/store").unwrap(), StoreDir::guix());
        assert_eq!(StoreDir::new("/nix/store").unwrap(), StoreDir::nix());
        assert_eq!(
            StoreDir::new("/home/me/store").unwrap().as_str(),
            "/home/me/store"
        );
        for bad in [
            "",
            "/",
            "gnu/store",
            "/gnu/store/",
            "//gnu",
            "/gnu/../store",
            "/gnu/./store",
            "/a\nb",
        ] {
            assert!(StoreDir::new(bad).is_err(), "{bad:?}");
        }
    }
}
