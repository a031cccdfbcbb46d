//! Derivations: their parts, their text, and the hashes that output paths follow from.

mod cursor;
mod error;
mod model;
mod modulo;
mod output_name;
mod parse;
mod print;
mod scan;
mod verify;

pub use error::{ParseError, ParseErrorKind};
pub use model::{Derivation, FixedOutput, Output};
pub use modulo::{DerivationHash, UnknownInput, derivation_hash, masked_hash};
pub use output_name::OutputName;
pub use verify::{PathsError, VerifyError, verify_outputs};
