//! Writing derivations without Guix or Nix at hand.

mod error;
mod instantiate;
mod parts;

pub use error::BuilderError;
pub use instantiate::Instantiated;
pub use parts::Builder;
