//! How nars are compressed.

use std::fmt;

/// How a nar is compressed. What is not known here is kept, so that other sources of the same narinfo can be used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// lzip, which Guix alone uses.
    Lzip,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
    /// bzip2, which Nix takes if nothing is said.
    Bzip2,
    /// Brotli, which Nix alone uses.
    Brotli,
    /// Some other way.
    Unknown(String),
}

impl Compression {
    const KNOWN: [(Self, &'static str); 7] = [
        (Self::None, "none"),
        (Self::Gzip, "gzip"),
        (Self::Lzip, "lzip"),
        (Self::Xz, "xz"),
        (Self::Zstd, "zstd"),
        (Self::Bzip2, "bzip2"),
        (Self::Brotli, "br"),
    ];

    /// The name in narinfos.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown(name) => name,
            _ => Self::KNOWN
                .iter()
                .find(|(known, _)| known == self)
                .map_or("", |(_, name)| name),
        }
    }

    /// What that name stands for.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|(_, known)| *known == name)
            .map_or_else(|| Self::Unknown(name.to_owned()), |(known, _)| known)
    }

    /// Whether it is one of those with a name here.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
