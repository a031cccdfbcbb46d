//! How nars can be had.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use flate2::write::GzEncoder;
use grange_signatures::narinfo::Compression;
use lzma_rust2::{LzipOptions, LzipWriter};

/// gzip's level: more takes twice as long for 1 % less.
const GZIP_LEVEL: u32 = 6;
/// lzip's level.
const LZIP_LEVEL: u32 = 6;

/// How a nar can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NarCompression {
    /// Zstandard: as nars lie here. Guix reads it since 1.3 if it was built with guile-zstd (Debian's is not), Nix since 2.4.
    Zstd,
    /// gzip: what every client reads.
    Gzip,
    /// lzip: smaller, and slow to make. Guix alone reads it, since 1.1.
    Lzip,
    /// Not at all.
    None,
}

impl NarCompression {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Zstd, "zstd"),
        (Self::Gzip, "gzip"),
        (Self::Lzip, "lzip"),
        (Self::None, "none"),
    ];

    /// The name in URLs and narinfos.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(one, _)| *one == self)
            .map_or("", |(_, name)| name)
    }

    pub(crate) fn of_narinfos(self) -> Compression {
        Compression::from_name(self.name())
    }

    /// Compresses `from` to `to`; returns how many bytes came.
    pub(crate) fn encode(self, mut from: impl Read, to: &mut impl Write) -> io::Result<u64> {
        match self {
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(to, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                let count = io::copy(&mut from, &mut encoder)?;
                encoder.finish()?;
                Ok(count)
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(to, flate2::Compression::new(GZIP_LEVEL));
                let count = io::copy(&mut from, &mut encoder)?;
                encoder.finish()?;
                Ok(count)
            }
            Self::Lzip => {
                let mut encoder = LzipWriter::new(to, LzipOptions::with_preset(LZIP_LEVEL));
                let count = io::copy(&mut from, &mut encoder)?;
                encoder.finish()?;
                Ok(count)
            }
            Self::None => io::copy(&mut from, to),
        }
    }
}

impl fmt::Display for NarCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A compression that nars are not made in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCompression(String);

impl fmt::Display for UnknownCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is none of zstd, gzip, lzip, none", self.0)
    }
}

impl std::error::Error for UnknownCompression {}

impl FromStr for NarCompression {
    type Err = UnknownCompression;

    fn from_str(text: &str) -> Result<Self, UnknownCompression> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|(_, name)| *name == text);
        found.map_or_else(
            || Err(UnknownCompression(text.to_owned())),
            |(one, _)| Ok(one),
        )
    }
}
