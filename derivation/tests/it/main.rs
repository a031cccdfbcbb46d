//! The crate against what real Guix and Nix wrote, against malformed input, and against its own laws.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod authoring;
mod closure;
mod facts;
mod fixtures;
mod guix;
mod hashes;
mod json;
mod malformed_derivations;
mod malformed_nars;
mod nars;
mod nix;
mod options;
mod properties;
mod scanner;
mod store_paths;
mod unpacking;
