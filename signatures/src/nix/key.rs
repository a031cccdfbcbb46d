//! Keys.

use super::{KeyError, Signature, SignatureError};
use crate::SecretText;
use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The name of a key, by convention a host and a number: `cache.example.org-1`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(Arc<str>);

impl KeyName {
    /// The most bytes of a name.
    pub const MAX: usize = 255;

    /// A name.
    ///
    /// # Errors
    /// If it is empty, too long, or contains `:`, white space or control characters.
    pub fn new(name: &str) -> Result<Self, KeyError> {
        let bad = |c: char| c == ':' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > Self::MAX || name.contains(bad) {
            let shown: String = name.chars().take(60).collect();
            return Err(KeyError::Name(shown.escape_debug().to_string()));
        }
        Ok(Self(name.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A public key of Nix. Displayed as `NAME:BASE64`, as `trusted-public-keys` in `nix.conf` wants it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    name: KeyName,
    bytes: [u8; 32],
}

impl PublicKey {
    /// Reads `NAME:BASE64`; white space around it is left out.
    ///
    /// # Errors
    /// If it is something else, or no good key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = split(text, 32)?;
        let bytes = <[u8; 32]>::try_from(&bytes[..]).map_err(|_| KeyError::Form)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Point)?;
        if key.is_weak() {
            return Err(KeyError::Point);
        }
        Ok(Self { name, bytes })
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The compressed point.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Checks that this key made a signature of a fingerprint. Names are not compared.
    ///
    /// # Errors
    /// If it did not.
    pub fn verify(&self, signature: &Signature, fingerprint: &str) -> Result<(), SignatureError> {
        let made = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        VerifyingKey::from_bytes(&self.bytes)
            .and_then(|key| key.verify_strict(fingerprint.as_bytes(), &made))
            .map_err(|_| SignatureError::Forged(signature.name().clone()))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(&self.bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.name, &self.bytes).cmp(&(&other.name, &other.bytes))
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A secret key of Nix. Its bytes are overwritten when it is dropped, and never shown.
#[derive(Clone)]
pub struct SecretKey {
    name: KeyName,
    key: SigningKey,
}

impl SecretKey {
    /// Makes a key from 32 random bytes, which the caller takes from the operating system and forgets.
    #[must_use]
    pub fn generate(name: KeyName, random: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(random);
        Self { name, key }
    }

    /// Reads what `nix-store --generate-binary-cache-key` writes; white space around it is left out.
    ///
    /// # Errors
    /// If it is something else, or its halves do not belong together.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = split(text, 64)?;
        let pair = Zeroizing::new(<[u8; 64]>::try_from(&bytes[..]).map_err(|_| KeyError::Form)?);
        let key = SigningKey::from_keypair_bytes(&pair).map_err(|_| KeyError::Mismatch)?;
        Ok(Self { name, key })
    }

    /// What `nix-store --generate-binary-cache-key` writes: `NAME:BASE64`, without a newline; mode 0400 befits it.
    #[must_use]
    pub fn to_file(&self) -> SecretText {
        let pair = Zeroizing::new(self.key.to_keypair_bytes());
        // One allocation: what a growing buffer leaves behind is not overwritten.
        let mut text = vec![0; self.name.as_str().len() + 1 + BASE64.encode_len(64)];
        let (name, encoded) = text.split_at_mut(self.name.as_str().len() + 1);
        name[..self.name.as_str().len()].copy_from_slice(self.name.as_str().as_bytes());
        name[self.name.as_str().len()] = b':';
        BASE64.encode_mut(&*pair, encoded);
        SecretText::new(text)
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey {
            name: self.name.clone(),
            bytes: self.key.verifying_key().to_bytes(),
        }
    }

    /// Signs a [`fingerprint`](super::fingerprint()).
    #[must_use]
    pub fn sign(&self, fingerprint: &str) -> Signature {
        let signature = self.key.sign(fingerprint.as_bytes());
        Signature::new(self.name.clone(), signature.to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("public", &self.public())
            .finish_non_exhaustive()
    }
}

/// `NAME:` and the base 64 of so many bytes.
fn split(text: &str, expected: usize) -> Result<(KeyName, Zeroizing<Vec<u8>>), KeyError> {
    let (name, encoded) = text.trim().split_once(':').ok_or(KeyError::Form)?;
    let name = KeyName::new(name)?;
    let bytes = BASE64
        .decode(encoded.as_bytes())
        .map_err(|_| KeyError::Base64)?;
    let bytes = Zeroizing::new(bytes);
    if bytes.len() != expected {
        return Err(KeyError::Length {
            expected,
            found: bytes.len(),
        });
    }
    Ok((name, bytes))
}
