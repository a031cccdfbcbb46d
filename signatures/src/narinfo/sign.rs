//! Signing and verifying.

use super::model::{Covering, Signatures};
use super::print::push_facts;
use super::{Error, Facts, Narinfo};
use crate::guix::{self, SecretKey, Signature};
use crate::nix;
use crate::trust::{TrustedKeys, VerifyError};
use grange_derivation::{Dialect, Hash};
use std::fmt;

/// Whose signature a narinfo is trusted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// A key of Guix.
    Guix(guix::PublicKey),
    /// A key of Nix.
    Nix(nix::PublicKey),
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guix(key) => key.fmt(f),
            Self::Nix(key) => key.fmt(f),
        }
    }
}

impl Narinfo {
    /// Checks that a trusted key signed what the narinfo says of the item, and returns that key.
    ///
    /// In Guix's dialect over the very bytes that came; in Nix's over the fingerprint of the facts.
    ///
    /// # Errors
    /// If there is no signature, none is by a trusted key (which says by whose it is), or it does not hold.
    pub fn verify(&self, trusted: &TrustedKeys) -> Result<Signer, VerifyError> {
        match &self.signatures {
            Signatures::Guix(None) => Err(VerifyError::Unsigned),
            Signatures::Guix(Some(covering)) => {
                let signature = Signature::parse(&covering.signature)?;
                let key = trusted.verify_guix(&signature, &covering.sha256())?;
                Ok(Signer::Guix(key))
            }
            Signatures::Nix(signatures) => {
                let key = trusted.verify_nix(signatures, &self.facts.fingerprint())?;
                Ok(Signer::Nix(key))
            }
        }
    }

    /// Adds a signature of Nix, unless there is one of that name already. One of Guix's dialect stays as it is.
    pub fn add_nix_signature(&mut self, key: &nix::SecretKey) {
        let fingerprint = self.facts.fingerprint();
        if let Signatures::Nix(signatures) = &mut self.signatures
            && signatures.iter().all(|other| other.name() != key.name())
        {
            signatures.push(key.sign(&fingerprint));
        }
    }
}

impl Covering {
    pub(super) fn sign(facts: &Facts, key: &SecretKey, host: &str) -> Result<Self, Error> {
        if !is_host(host) {
            return Err(Error::Host(host.escape_debug().to_string()));
        }
        let mut text = String::new();
        push_facts(&mut text, Dialect::Guix, facts);
        let mut covering = Self {
            text,
            sources: 0,
            host: host.to_owned(),
            signature: Vec::new(),
        };
        covering.signature = key.sign(&covering.sha256()).to_advanced();
        Ok(covering)
    }

    fn sha256(&self) -> [u8; 32] {
        let hash = Hash::sha256(self.text.as_bytes()).to_sha256();
        hash.expect("it was made as a SHA-256")
    }
}

/// Whether it can stand between the semicolons of a signature.
pub(super) fn is_host(host: &str) -> bool {
    let bad = |c: char| c == ';' || c.is_whitespace() || c.is_control();
    !host.is_empty() && host.len() <= 255 && !host.contains(bad)
}
