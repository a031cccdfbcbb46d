//! An item that was read.

use super::Trailer;
use crate::guix::{PublicKey, Signature};
use crate::trust::{TrustedKeys, VerifyError};

/// An item whose nar, trailer and signature have all come. Nothing about it is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// Its path, references and deriver.
    pub trailer: Trailer,
    /// The SHA-256 of the nar.
    pub nar_sha256: [u8; 32],
    /// The number of bytes of the nar.
    pub nar_size: u64,
    /// The SHA-256 that a signature must be of.
    pub signed_sha256: [u8; 32],
    /// The signature as it came, if one did.
    pub signature: Option<Vec<u8>>,
}

impl Item {
    /// Checks that a trusted key signed the item, and returns that key.
    ///
    /// # Errors
    /// If there is no signature, it is not one of these bytes, or its key is not trusted.
    pub fn verify(&self, trusted: &TrustedKeys) -> Result<PublicKey, VerifyError> {
        let text = self.signature.as_ref().ok_or(VerifyError::Unsigned)?;
        let signature = Signature::parse(text)?;
        trusted.verify_guix(&signature, &self.signed_sha256)
    }
}
