//! Why a derivation cannot be written.

use crate::derivation::OutputName;
use crate::{NameError, StorePath};

/// Why a derivation cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuilderError {
    /// The derivation's name is not one, or too long with `.drv` or an output's name behind it.
    #[error("`{name}` cannot be the name of a derivation")]
    Name {
        /// The name.
        name: String,
        /// What is wrong.
        source: NameError,
    },
    /// An output's name is not one.
    #[error("`{name}` cannot be the name of an output")]
    OutputName {
        /// The name.
        name: String,
        /// What is wrong.
        source: NameError,
    },
    /// The derivation has its hash given, and other outputs than `out`.
    #[error("a fixed-output derivation has one output, `out`")]
    FixedOutputs,
    /// An environment variable is set that has the name of an output.
    #[error("environment variable `{0}` is set by an output of that name")]
    OutputVariable(OutputName),
    /// An input derivation has no output of that name.
    #[error("`{derivation}` has no output `{output}`")]
    NoSuchOutput {
        /// The input derivation.
        derivation: StorePath,
        /// The output asked for.
        output: String,
    },
    /// An input derivation is used without any output.
    #[error("`{0}` is an input without outputs")]
    NoOutputs(StorePath),
    /// An item of another store is an input.
    #[error("`{0}` is in another store")]
    OtherStore(StorePath),
    /// A path that is used as a derivation is not one's.
    #[error("`{0}` is not a derivation's path")]
    NoDerivation(StorePath),
}
