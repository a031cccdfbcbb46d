//! Nix's keys and signatures: Ed25519 over a fingerprint of what a narinfo says.
//!
//! A key is `NAME:BASE64`, a signature too; `nix-store --generate-binary-cache-key` makes keys, `secret-key-files` and
//! `trusted-public-keys` in `nix.conf` name them. Verification tries the trusted key of the signature's name.

mod error;
mod fingerprint;
mod key;
mod signature;

pub use error::{KeyError, SignatureError};
pub use fingerprint::fingerprint;
pub use key::{KeyName, PublicKey, SecretKey};
pub use signature::Signature;
