//! Secret keys.

use super::key::{self, PublicKey, atom, named};
use super::{KeyError, Signature, ecdsa};
use crate::SecretText;
use crate::sexp::Sexp;
use std::fmt;
use zeroize::Zeroizing;

/// A secret key of Guix. Its bytes are overwritten when it is dropped, and never shown.
#[derive(Clone)]
pub struct SecretKey {
    /// Big-endian, as it stands in the file but for leading zeros: see `ecdsa`.
    d: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

impl SecretKey {
    /// Makes a key from 32 random bytes, which the caller takes from the operating system and forgets.
    ///
    /// As libgcrypt does, the number's first two bits become 01 and its last three 000.
    #[must_use]
    pub fn generate(random: &[u8; 32]) -> Self {
        let mut d = Zeroizing::new(*random);
        d[0] = d[0] & 0x7f | 0x40;
        d[31] &= 0xf8;
        let public = ecdsa::public(&d).unwrap_or_else(|| {
            // A multiple of 8 times the order would be one of two numbers in 2^251.
            d[31] ^= 8;
            ecdsa::public(&d).expect("the order is not 8")
        });
        Self {
            d,
            public: PublicKey::trusted(public),
        }
    }

    /// Reads `/etc/guix/signing-key.sec`: `(private-key (ecc (curve Ed25519) (q #…#) (d #…#)))`.
    ///
    /// # Errors
    /// If it is something else (a key of another algorithm is named as such), or `q` does not belong to `d`.
    pub fn parse(file: &[u8]) -> Result<Self, KeyError> {
        let mut sexp = Sexp::parse(file)?;
        let key = Self::from_sexp(&sexp);
        sexp.wipe();
        key
    }

    fn from_sexp(sexp: &Sexp) -> Result<Self, KeyError> {
        let secret = sexp
            .only("private-key")
            .ok_or(KeyError::Expected("`(private-key …)`"))?;
        let [curve, q, d] = key::parameters(secret)? else {
            return Err(KeyError::Expected(
                "`(curve Ed25519)`, `(q #…#)` and `(d #…#)`",
            ));
        };
        key::check_curve(curve)?;
        let q = key::point(q)?;
        let d = atom(d, "d")
            .and_then(key::number)
            .map(Zeroizing::new)
            .ok_or(KeyError::Expected("`(d #…#)` of at most 32 bytes"))?;
        let public = ecdsa::public(&d).ok_or(KeyError::Secret)?;
        if public != q {
            return Err(KeyError::Mismatch);
        }
        Ok(Self {
            d,
            public: PublicKey::trusted(public),
        })
    }

    /// What Guix writes to `signing-key.sec`; the file should have mode 0400.
    #[must_use]
    pub fn to_file(&self) -> SecretText {
        let mut sexp = Sexp::list([
            Sexp::atom("private-key"),
            Sexp::list([
                Sexp::atom("ecc"),
                key::curve(),
                named("q", self.public.as_bytes()),
                named("d", key::digits(&self.d)),
            ]),
        ]);
        let file = SecretText::new(sexp.to_advanced());
        sexp.wipe();
        file
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a SHA-256. The same hash gives the same signature, that of libgcrypt.
    #[must_use]
    pub fn sign(&self, sha256: &[u8; 32]) -> Signature {
        let (r, s) = ecdsa::sign(&self.d, sha256);
        Signature::new(*sha256, r, s, self.public)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}
