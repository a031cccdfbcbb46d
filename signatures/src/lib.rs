//! Keys, signatures, narinfos and exports of Guix and Nix, as pure functions and values.
//!
//! | module or type | what it does |
//! |---|---|
//! | [`guix`] | keys of `guix archive --generate-key`, ECDSA signatures bit for bit as libgcrypt makes them, `/etc/guix/acl` |
//! | [`nix`] | keys of `nix-store --generate-binary-cache-key`, Ed25519 signatures of fingerprints |
//! | [`narinfo`] | what a substitute server says of an item: strict parser, printer, signing and verifying, in both dialects |
//! | [`export`] | `guix archive --export` and a daemon's `import-paths`: parts to write around nars, a push decoder |
//! | [`TrustedKeys`] | whose signatures count |
//! | [`sexp`] | S-expressions as libgcrypt reads and prints them |
//!
//! **Invariant:** no I/O, no clock, no randomness: a new key is made from bytes that the caller hands in. Secrets are
//! overwritten when dropped and never shown by `{:?}`. Nothing that was only parsed is trusted: `verify` is a step of its
//! own, and takes the keys.
//!
//! ```
//! use grange_signatures::guix::{Acl, SecretKey, Signature};
//!
//! let key = SecretKey::generate(&[7; 32]); // random bytes, in earnest
//! let text = key.sign(&[1; 32]).to_advanced();
//! let signature = Signature::parse(&text)?;
//! signature.verify(&[1; 32])?;
//!
//! let mut acl = Acl::new();
//! acl.authorize(key.public());
//! assert!(acl.contains(signature.key()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod export;
pub mod guix;
pub mod narinfo;
pub mod nix;
mod secret_text;
pub mod sexp;
mod trust;

pub use secret_text::SecretText;
pub use trust::{TrustedKeys, VerifyError};
