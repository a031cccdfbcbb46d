//! What differs between the formats of Guix and those of Nix.

use crate::StoreDir;

/// Guix or Nix: a value that answers what differs, so that nobody else asks which one it is.
///
/// Exhaustive on purpose: a third dialect must be thought through wherever one is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// GNU Guix.
    Guix,
    /// Nix.
    Nix,
}

impl Dialect {
    /// The dialect of a store: Guix if its directory ends in `/gnu/store`, otherwise Nix.
    ///
    /// Both tools can be built for any directory, but a Guix elsewhere is nearly always one with another prefix.
    #[must_use]
    pub fn of(store: &StoreDir) -> Self {
        if store.as_str().ends_with("/gnu/store") {
            Self::Guix
        } else {
            Self::Nix
        }
    }

    /// Where this dialect's store is by default.
    #[must_use]
    pub const fn store_dir(self) -> StoreDir {
        match self {
            Self::Guix => StoreDir::guix(),
            Self::Nix => StoreDir::nix(),
        }
    }

    /// Its name in lower case, for records and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guix => "guix",
            Self::Nix => "nix",
        }
    }

    /// The directory in which a builder of the derivation `name` (without `.drv`) starts inside the sandbox. It can
    /// end up in outputs, so it has to be the daemon's.
    #[must_use]
    pub fn build_dir(self, name: &str) -> String {
        match self {
            Self::Guix => format!("/tmp/guix-build-{name}.drv-0"),
            Self::Nix => "/build".to_owned(),
        }
    }

    /// Whether instantiation puts `name`, `system` and `builder` into the environment, as Nix's `derivation` does
    /// with all of its attributes.
    #[must_use]
    pub const fn names_itself_in_environment(self) -> bool {
        matches!(self, Self::Nix)
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
