//! Checking and hashing a nar as it passes by.

use super::{Decoder, Error};
use sha2::Digest as _;

/// Checks that bytes are a nar, hashes and counts them, and keeps none: what ingest does with an upload.
///
/// ```
/// use grange_derivation::nar::{Encoder, NarDigest};
///
/// let mut encoder = Encoder::new(Vec::new());
/// encoder.regular(false, 0)?;
/// let (nar, _) = encoder.finish()?;
/// let mut digest = NarDigest::new();
/// digest.update(&nar)?;
/// let digested = digest.finish()?;
/// assert_eq!(digested.size, 112);
/// assert_eq!(digested.hash().to_base32(), "0ip26j2h11n1kgkz36rl4akv694yz65hr72q4kv4b3lxcbi65b3p");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct NarDigest {
    decoder: Decoder,
    hash: sha2::Sha256,
}

/// A nar's hash and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Digested {
    /// The SHA-256.
    pub sha256: [u8; 32],
    /// The number of bytes.
    pub size: u64,
}

impl Digested {
    pub(super) const fn new(sha256: [u8; 32], size: u64) -> Self {
        Self { sha256, size }
    }

    /// The hash with its algorithm.
    #[must_use]
    pub fn hash(&self) -> crate::Hash {
        crate::Hash::from_sha256(self.sha256)
    }
}

impl NarDigest {
    /// A check at the start of a nar.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in more bytes.
    ///
    /// # Errors
    /// If they are not a nar, or go on after its end.
    pub fn update(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        self.hash.update(bytes);
        while self.decoder.decode(&mut bytes)?.is_some() {}
        Ok(())
    }

    /// How many bytes of the nar came so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.decoder.offset()
    }

    /// Whether the nar has ended.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.decoder.is_complete()
    }

    /// The hash and size.
    ///
    /// # Errors
    /// If the nar is not complete.
    pub fn finish(self) -> Result<Digested, Error> {
        let size = self.decoder.finish()?;
        Ok(Digested::new(self.hash.finalize().into(), size))
    }
}
