//! What can be wrong with Guix's keys, signatures and access-control lists.

use super::PublicKey;
use crate::sexp::SexpError;

/// Why bytes are no key of Guix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// They are no S-expression.
    #[error("not a key of Guix")]
    Sexp(#[from] SexpError),
    /// The S-expression is something else.
    #[error("not a key of Guix: there should be {0}")]
    Expected(&'static str),
    /// It is a key, but of an algorithm that only libgcrypt knows.
    #[error(
        "the key is for {0}, which is not supported: only ECC on the curve Ed25519, Guix's default, is"
    )]
    Algorithm(String),
    /// The public part is no point of the curve, or one with which anybody could sign.
    #[error("the key's q is not a point of the curve Ed25519 with the order of its base point")]
    Point,
    /// The secret part is a multiple of the curve's order, zero for instance.
    #[error("the key's d is a multiple of the curve's order")]
    Secret,
    /// The two parts do not belong together.
    #[error("the secret key's q does not belong to its d")]
    Mismatch,
}

/// Why a signature of Guix is none, or not one of these bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// It is no S-expression.
    #[error("not a signature of Guix")]
    Sexp(#[from] SexpError),
    /// The S-expression is something else.
    #[error("not a signature of Guix: there should be {0}")]
    Expected(&'static str),
    /// The key in it is none.
    #[error("the signature's public key is not usable")]
    Key(#[from] KeyError),
    /// It is a signature of other bytes.
    #[error("the signature by {key} is one of other bytes: of {signed}, not of {found} (sha256)")]
    OtherBytes {
        /// Whose key it names.
        key: PublicKey,
        /// The hash in the signature, base 16.
        signed: String,
        /// The hash of the bytes at hand, base 16.
        found: String,
    },
    /// The key that it names did not make it.
    #[error("the signature does not belong to the key that it names, {0}")]
    Forged(PublicKey),
}

/// Why bytes are no access-control list of Guix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AclError {
    /// They are no S-expression.
    #[error("not an access-control list of Guix")]
    Sexp(#[from] SexpError),
    /// The S-expression is something else.
    #[error("not an access-control list of Guix: it does not start with `acl`")]
    NotAcl,
    /// An entry is not `(entry KEY (tag (guix import)))`, and Guix itself refuses the whole list then.
    #[error("entry {0} of the access-control list is not `(entry KEY (tag (guix import)))`")]
    Entry(usize),
}
