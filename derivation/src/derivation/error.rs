//! Why a text is not a derivation.

use super::OutputName;
use crate::{HashAlgo, HashError, NameError, StorePathError};
use std::fmt;

/// Why a text is not a derivation that we build, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseError {
    /// Where, from the start of the text.
    pub offset: usize,
    /// What is wrong there.
    pub kind: ParseErrorKind,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a derivation that can be built: at byte {}, {}",
            self.offset, self.kind
        )
    }
}

impl std::error::Error for ParseError {
    /// What is behind the kind, which is displayed already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

/// What is wrong with a derivation's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The name that was given with the text is not one.
    #[error("the derivation's name is not valid")]
    DerivationName(#[source] NameError),
    /// The text ends too early.
    #[error("the text ends")]
    End,
    /// The text goes on after the closing parenthesis.
    #[error("the text goes on after its end")]
    Trailing,
    /// Something else should be here.
    #[error("there should be `{0}`")]
    Expected(&'static str),
    /// A backslash before a character that is never escaped.
    #[error("`\\{}` is not an escape that derivations have", .0.escape_ascii())]
    Escape(u8),
    /// A character that is always escaped.
    #[error("`{}` must be escaped", .0.escape_ascii())]
    Unescaped(u8),
    /// A path is not one.
    #[error("a store path is not valid")]
    StorePath(#[source] StorePathError),
    /// An input derivation's path does not end in `.drv`.
    #[error("an input derivation's path does not end in `.drv`")]
    NoDerivation,
    /// An output's name is not one.
    #[error("an output's name is not valid")]
    OutputName(#[source] NameError),
    /// Members of a list are not in order: the text would not be printed like that, and its path is of the text.
    #[error("{0} are not sorted")]
    Unsorted(&'static str),
    /// A member of a list is there twice.
    #[error("{0} contain a duplicate")]
    Duplicate(&'static str),
    /// There is no output.
    #[error("the derivation has no output")]
    NoOutputs,
    /// An input derivation is named without any of its outputs.
    #[error("an input derivation is there without outputs")]
    NoInputOutputs,
    /// A content-addressed output whose hash is not known beforehand.
    #[error("output `{0}` is floating (content-addressed without a hash), which is not supported")]
    Floating(OutputName),
    /// An output whose path is not known beforehand.
    #[error("output `{0}` has no path (it depends on a floating output), which is not supported")]
    Deferred(OutputName),
    /// An output that may differ each time.
    #[error("output `{0}` is impure, which is not supported")]
    Impure(OutputName),
    /// A derivation in the format of dynamic derivations.
    #[error("the derivation is in the format of dynamic derivations, which is not supported")]
    Dynamic,
    /// A hash without an algorithm.
    #[error("output `{0}` has a hash but no algorithm")]
    NoAlgorithm(OutputName),
    /// A hash algorithm that is not known.
    #[error("`{0}` is not a hash algorithm that is supported")]
    Algorithm(String),
    /// A hash that is not one.
    #[error("a hash is not valid")]
    Hash(#[source] HashError),
    /// A hash that is not in base 16, which derivations are printed with.
    #[error("a {0} hash is not in base 16")]
    HashNotation(HashAlgo),
    /// A fixed output that is not the only one, or not `out`.
    #[error("a fixed output must be the only one, and named `out`")]
    FixedNotAlone,
}

impl ParseErrorKind {
    pub(super) const fn at(self, offset: usize) -> ParseError {
        ParseError { offset, kind: self }
    }
}
