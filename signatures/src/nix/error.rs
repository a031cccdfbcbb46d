//! What can be wrong with Nix's keys and signatures.

/// Why a text is no key of Nix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no `:`.
    #[error("not a key of Nix: there should be `NAME:BASE64`")]
    Form,
    /// The name is none.
    #[error(
        "`{0}` cannot be a key's name: it is empty, too long, or has `:`, white space or control characters"
    )]
    Name(String),
    /// What follows the name is not base 64.
    #[error("what follows `:` in the key is not base 64")]
    Base64,
    /// It has another length.
    #[error("the key has {found} bytes where {expected} are needed{}", hint(*.found))]
    Length {
        /// Bytes needed.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// The public part is no point of the curve, or one with which anybody could sign.
    #[error("the key is not a usable point of the curve Ed25519")]
    Point,
    /// The two halves of a secret key do not belong together.
    #[error("the secret key's second half does not belong to its first")]
    Mismatch,
}

/// Why a text is no signature of Nix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// It is not a name, `:` and the base 64 of 64 bytes.
    #[error("`{0}` is not a signature of Nix: `NAME:` and the base 64 of 64 bytes")]
    Form(String),
    /// The key of that name did not make it, or for something else.
    #[error("the signature by {0} is not one of what the narinfo says")]
    Forged(super::KeyName),
}

const fn hint(found: usize) -> &'static str {
    match found {
        32 => ": it is a public key",
        64 => ": it is a secret key",
        _ => "",
    }
}
