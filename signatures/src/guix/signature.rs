//! Signatures.

use super::error::SignatureError;
use super::key::{atom, digits, named, number};
use super::{PublicKey, ecdsa};
use crate::sexp::Sexp;
use data_encoding::HEXLOWER;

/// A signature: a hash, two numbers, and the public key that it claims to be by. Whether it is one, and whether that
/// key is trusted, is not known yet.
///
/// ```text
/// (signature (data (flags rfc6979) (hash sha256 #…#))
///            (sig-val (ecdsa (r #…#) (s #…#)))
///            (public-key (ecc (curve Ed25519) (q #…#))))
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    sha256: [u8; 32],
    r: [u8; 32],
    s: [u8; 32],
    key: PublicKey,
}

impl Signature {
    pub(super) const fn new(sha256: [u8; 32], r: [u8; 32], s: [u8; 32], key: PublicKey) -> Self {
        Self { sha256, r, s, key }
    }

    /// Reads a signature in either representation, without verifying it.
    ///
    /// # Errors
    /// If it is none, or is made with another algorithm than Guix's default.
    pub fn parse(text: &[u8]) -> Result<Self, SignatureError> {
        let sexp = Sexp::parse(text)?;
        let Some([data, value, key]) = sexp.tagged("signature") else {
            return Err(SignatureError::Expected("`(signature DATA VALUE KEY)`"));
        };
        // The key first: of the wrong algorithm, it says best what is wrong.
        let key = PublicKey::from_sexp(key)?;
        let sha256 = hash(data).ok_or(SignatureError::Expected(
            "`(data (flags rfc6979) (hash sha256 #…#))`",
        ))?;
        let (r, s) = numbers(value).ok_or(SignatureError::Expected(
            "`(sig-val (ecdsa (r #…#) (s #…#)))`",
        ))?;
        Ok(Self { sha256, r, s, key })
    }

    /// The signature as an expression.
    #[must_use]
    pub fn to_sexp(&self) -> Sexp {
        let atom = |name: &str| Sexp::atom(name);
        Sexp::list([
            atom("signature"),
            Sexp::list([
                atom("data"),
                named("flags", b"rfc6979"),
                Sexp::list([atom("hash"), atom("sha256"), Sexp::atom(self.sha256)]),
            ]),
            Sexp::list([
                atom("sig-val"),
                Sexp::list([
                    atom("ecdsa"),
                    named("r", digits(&self.r)),
                    named("s", digits(&self.s)),
                ]),
            ]),
            self.key.to_sexp(),
        ])
    }

    /// The bytes that Guix writes to exports and, in base 64, to narinfos.
    #[must_use]
    pub fn to_advanced(&self) -> Vec<u8> {
        self.to_sexp().to_advanced()
    }

    /// The key that it claims to be by.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The hash that it is for.
    #[must_use]
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Checks that its key signed these bytes' SHA-256. Whether the key is trusted is another question.
    ///
    /// # Errors
    /// If it is for another hash, or the key did not make it.
    pub fn verify(&self, sha256: &[u8; 32]) -> Result<(), SignatureError> {
        if self.sha256 != *sha256 {
            return Err(SignatureError::OtherBytes {
                key: self.key,
                signed: HEXLOWER.encode(&self.sha256),
                found: HEXLOWER.encode(sha256),
            });
        }
        if ecdsa::verify(self.key.as_bytes(), sha256, &self.r, &self.s) {
            Ok(())
        } else {
            Err(SignatureError::Forged(self.key))
        }
    }
}

fn hash(data: &Sexp) -> Option<[u8; 32]> {
    let [flags, hash] = data.tagged("data")? else {
        return None;
    };
    if atom(flags, "flags")? != b"rfc6979" {
        return None;
    }
    match hash.tagged("hash")? {
        [algo, value] if algo.as_atom()? == b"sha256" => value.as_atom()?.try_into().ok(),
        _ => None,
    }
}

fn numbers(value: &Sexp) -> Option<([u8; 32], [u8; 32])> {
    let [r, s] = value.only("sig-val")?.tagged("ecdsa")? else {
        return None;
    };
    Some((number(atom(r, "r")?)?, number(atom(s, "s")?)?))
}
