//! Guix's keys and signatures: ECDSA, not EdDSA, on the curve of Ed25519, with the nonces of RFC 6979.
//!
//! Keys and signatures are S-expressions of libgcrypt. `guix archive --generate-key` writes
//! `/etc/guix/signing-key.sec` and `.pub`; `/etc/guix/acl` lists the public keys that a daemon takes items from.

mod acl;
mod ecdsa;
mod error;
mod key;
mod secret;
mod signature;

pub use acl::Acl;
pub use error::{AclError, KeyError, SignatureError};
pub use key::PublicKey;
pub use secret::SecretKey;
pub use signature::Signature;
