//! What can be wrong with a narinfo.

use super::{NarUrl, Narinfo};
use crate::nix;
use grange_derivation::{HashError, StorePathError};

/// Why bytes are no narinfo, or not one that can be used. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are more bytes than are looked at.
    #[error("a narinfo of {0} bytes, more than {max}", max = Narinfo::MAX_SIZE)]
    Size(usize),
    /// It is not UTF-8.
    #[error("the narinfo is not UTF-8 at byte {0}")]
    Utf8(usize),
    /// A line is not `KEY: VALUE`.
    #[error("line {line} of the narinfo is not `KEY: VALUE`")]
    Line {
        /// The line.
        line: usize,
    },
    /// A line has a control character.
    #[error("line {line} of the narinfo has the control character {character:?}")]
    Control {
        /// The line.
        line: usize,
        /// The character.
        character: char,
    },
    /// The last line has no end: the narinfo may have been cut.
    #[error("the narinfo does not end in a newline, so that it may have been cut")]
    Cut,
    /// A field comes again.
    #[error("the narinfo has `{key}` twice, the second time in line {line}")]
    Duplicate {
        /// The field.
        key: &'static str,
        /// The line.
        line: usize,
    },
    /// A field is not there.
    #[error("the narinfo has no `{0}`")]
    Missing(&'static str),
    /// A URL comes without compression, or the other way round.
    #[error("source {source_number} of the narinfo has no `{key}`")]
    Incomplete {
        /// Which `URL`, from 1.
        source_number: usize,
        /// What is missing.
        key: &'static str,
    },
    /// A narinfo of Nix has more than one `URL`.
    #[error("the narinfo has more than one `URL`, which only Guix's can have")]
    Several,
    /// A field comes more often than is looked at.
    #[error("the narinfo has more `{key}` than are looked at, up to line {line}")]
    TooMany {
        /// The field.
        key: &'static str,
        /// The line.
        line: usize,
    },
    /// A value that was to be printed cannot stand in a line.
    #[error("a `{0}` that is empty, too long or has control characters cannot be printed")]
    Unprintable(&'static str),
    /// A field stands where the signature does not cover it.
    #[error(
        "`{key}` in line {line} of the narinfo comes after the signature, which does not cover it"
    )]
    NotCovered {
        /// The field.
        key: &'static str,
        /// The line.
        line: usize,
    },
    /// A field's value is not good.
    #[error("`{key}` in line {line} of the narinfo is not good")]
    Value {
        /// The field.
        key: &'static str,
        /// The line.
        line: usize,
        /// What is wrong.
        source: ValueError,
    },
    /// It is about another item than was asked for.
    #[error("the narinfo is about {found}, not about the item asked for")]
    OtherItem {
        /// The item's path.
        found: String,
    },
    /// The host's name cannot stand in a signature.
    #[error(
        "`{0}` cannot be the host in a signature: it is empty or has `;`, spaces or control characters"
    )]
    Host(String),
}

/// Why a field's value is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A path is none of the store asked for.
    #[error(transparent)]
    Path(#[from] StorePathError),
    /// A hash is none.
    #[error("it is no hash")]
    Hash(#[from] HashError),
    /// A hash is spelled in another way than it has to be.
    #[error("there should be `sha256:` and 52 characters of base 32")]
    HashForm,
    /// A size is no number.
    #[error("`{0}` is not a size: decimal digits for a number from {1} to 9223372036854775807")]
    Size(String, u64),
    /// A reference comes twice.
    #[error("{0} comes twice")]
    Twice(String),
    /// It is longer than any good value is, or empty.
    #[error("it is empty or has more than {0} bytes")]
    Length(usize),
    /// A URL is not good.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A signature of Guix is not spelled so.
    #[error("there should be `1;HOST;BASE64`")]
    GuixSignature,
    /// A signature of Nix is not good.
    #[error(transparent)]
    NixSignature(#[from] nix::SignatureError),
}

/// Why a URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is empty.
    #[error("the URL is empty")]
    Empty,
    /// It is too long.
    #[error("the URL has {0} bytes, more than {max}", max = NarUrl::MAX)]
    Long(usize),
    /// A character that no URL has, or an encoded one that none should.
    #[error("the URL has the character {0:?}")]
    Character(char),
    /// `%` without two hexadecimal digits.
    #[error("the URL has `%` without two hexadecimal digits")]
    Percent,
    /// `..` in the path.
    #[error("the URL has `..` in its path")]
    Parent,
}
