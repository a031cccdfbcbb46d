//! Whose signatures count.

use crate::guix::{self, Acl};
use crate::nix::{self, KeyName};
use std::collections::BTreeSet;

/// The public keys whose signatures count, of Guix and Nix: one set, since an item needs one good signature.
///
/// Empty, it trusts nobody. During a rotation it holds the old and the new key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedKeys {
    guix: BTreeSet<guix::PublicKey>,
    nix: BTreeSet<nix::PublicKey>,
}

/// Why an item is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no signature.
    #[error("it is not signed")]
    Unsigned,
    /// There are signatures, but by keys that are not trusted. Those of Nix are named as they claim, unverified.
    #[error("it is signed by {}, which is not trusted", .0.join(", "))]
    NotTrusted(Vec<String>),
    /// The signature of Guix is none, or not one of these bytes.
    #[error("its signature does not hold")]
    Guix(#[from] guix::SignatureError),
    /// The signature of Nix that names a trusted key is not by that key, or of something else.
    #[error("its signature does not hold")]
    Nix(#[from] nix::SignatureError),
}

impl TrustedKeys {
    /// Trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key of Guix, and tells whether it is new.
    pub fn add_guix(&mut self, key: guix::PublicKey) -> bool {
        self.guix.insert(key)
    }

    /// Adds a key of Nix, and tells whether it is new. Several may have one name.
    pub fn add_nix(&mut self, key: nix::PublicKey) -> bool {
        self.nix.insert(key)
    }

    /// Adds the keys of `/etc/guix/acl` that are usable here.
    pub fn add_acl(&mut self, acl: &Acl) {
        self.guix.extend(acl.keys());
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.guix.is_empty() && self.nix.is_empty()
    }

    /// The keys of Guix, in order.
    pub fn guix(&self) -> impl Iterator<Item = &guix::PublicKey> {
        self.guix.iter()
    }

    /// The keys of Nix, by name.
    pub fn nix(&self) -> impl Iterator<Item = &nix::PublicKey> {
        self.nix.iter()
    }

    /// Checks a signature of Guix, and returns the trusted key that made it.
    ///
    /// # Errors
    /// If it is not one of this SHA-256, or its key is not trusted.
    pub fn verify_guix(
        &self,
        signature: &guix::Signature,
        sha256: &[u8; 32],
    ) -> Result<guix::PublicKey, VerifyError> {
        signature.verify(sha256)?;
        let key = *signature.key();
        if self.guix.contains(&key) {
            Ok(key)
        } else {
            Err(VerifyError::NotTrusted(vec![key.to_string()]))
        }
    }

    /// Checks signatures of Nix, and returns the first trusted key that made one of them.
    ///
    /// # Errors
    /// If there are none, all are by others, or those that name a trusted key do not hold.
    pub fn verify_nix(
        &self,
        signatures: &[nix::Signature],
        fingerprint: &str,
    ) -> Result<nix::PublicKey, VerifyError> {
        let mut forged = None;
        for signature in signatures {
            for key in self.named(signature.name()) {
                match key.verify(signature, fingerprint) {
                    Ok(()) => return Ok(key.clone()),
                    Err(error) => forged = Some(error),
                }
            }
        }
        match forged {
            Some(error) => Err(error.into()),
            None if signatures.is_empty() => Err(VerifyError::Unsigned),
            None => Err(VerifyError::NotTrusted(
                signatures.iter().map(|s| s.name().to_string()).collect(),
            )),
        }
    }

    fn named<'a>(&'a self, name: &'a KeyName) -> impl Iterator<Item = &'a nix::PublicKey> {
        self.nix.iter().filter(move |key| key.name() == name)
    }
}
