//! Signatures.

use super::{KeyName, SignatureError};
use data_encoding::BASE64;
use std::fmt;

/// A signature, and the name of the key that it claims to be by. Displayed as `NAME:BASE64`.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    name: KeyName,
    bytes: [u8; 64],
}

impl Signature {
    pub(super) const fn new(name: KeyName, bytes: [u8; 64]) -> Self {
        Self { name, bytes }
    }

    /// Reads `NAME:BASE64`, what follows `Sig: ` in a narinfo, without verifying it.
    ///
    /// # Errors
    /// If it is something else.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let signature = || {
            let (name, encoded) = text.split_once(':')?;
            let bytes = BASE64.decode(encoded.as_bytes()).ok()?.try_into().ok()?;
            Some(Self::new(KeyName::new(name).ok()?, bytes))
        };
        signature().ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            SignatureError::Form(shown.escape_debug().to_string())
        })
    }

    /// The name of the key that it claims to be by.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.bytes
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(&self.bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
