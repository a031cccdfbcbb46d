//! Public keys.

use super::ecdsa;
use super::error::KeyError;
use crate::sexp::Sexp;
use data_encoding::HEXUPPER;
use std::cmp::Ordering;
use std::fmt;

/// The curve's name in keys.
pub(super) const CURVE: &str = "Ed25519";

/// A public key of Guix: the compressed point `q`. Displayed as that in base 16, as in the key's file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads `/etc/guix/signing-key.pub`: `(public-key (ecc (curve Ed25519) (q #…#)))`, in either representation.
    ///
    /// # Errors
    /// If it is something else (a key of another algorithm is named as such), or its point is not a good one.
    pub fn parse(file: &[u8]) -> Result<Self, KeyError> {
        Self::from_sexp(&Sexp::parse(file)?)
    }

    /// The key of a point, compressed as Ed25519 does: 32 bytes, y little-endian, the sign of x on top.
    ///
    /// # Errors
    /// If it is no point of the curve, or not of the base point's order.
    pub fn from_bytes(q: [u8; 32]) -> Result<Self, KeyError> {
        if ecdsa::is_public(&q) {
            Ok(Self(q))
        } else {
            Err(KeyError::Point)
        }
    }

    /// Reads an expression.
    ///
    /// # Errors
    /// As [`PublicKey::parse`].
    pub fn from_sexp(sexp: &Sexp) -> Result<Self, KeyError> {
        let key = sexp
            .only("public-key")
            .ok_or(KeyError::Expected("`(public-key …)`"))?;
        match parameters(key)? {
            [curve, q] => {
                check_curve(curve)?;
                Self::from_bytes(point(q)?)
            }
            _ => Err(KeyError::Expected("`(curve Ed25519)` and `(q #…#)`")),
        }
    }

    /// The key as an expression.
    #[must_use]
    pub fn to_sexp(&self) -> Sexp {
        Sexp::list([
            Sexp::atom("public-key"),
            Sexp::list([Sexp::atom("ecc"), curve(), named("q", &self.0)]),
        ])
    }

    /// What Guix writes to `signing-key.pub`, and `guix archive --authorize` reads.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        self.to_sexp().to_advanced()
    }

    /// The compressed point.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key that [`ecdsa::public`] made.
    pub(super) const fn trusted(q: [u8; 32]) -> Self {
        Self(q)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXUPPER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `(curve Ed25519)`.
pub(super) fn curve() -> Sexp {
    named("curve", CURVE.as_bytes())
}

/// `(NAME VALUE)`.
pub(super) fn named(name: &str, value: &[u8]) -> Sexp {
    Sexp::list([Sexp::atom(name), Sexp::atom(value)])
}

/// What follows `ecc` in a key.
pub(super) fn parameters(key: &Sexp) -> Result<&[Sexp], KeyError> {
    if let Some(parameters) = key.tagged("ecc") {
        return Ok(parameters);
    }
    let name = key.as_list().and_then(|items| items.first()?.as_atom());
    Err(name.map_or(KeyError::Expected("`(ecc …)`"), |name| {
        KeyError::Algorithm(printable(name))
    }))
}

pub(super) fn check_curve(sexp: &Sexp) -> Result<(), KeyError> {
    let name = atom(sexp, "curve").ok_or(KeyError::Expected("`(curve Ed25519)`"))?;
    if name == CURVE.as_bytes() {
        return Ok(());
    }
    Err(KeyError::Algorithm(format!("ECC on {}", printable(name))))
}

/// `(q #…#)`, 32 bytes.
pub(super) fn point(sexp: &Sexp) -> Result<[u8; 32], KeyError> {
    atom(sexp, "q")
        .and_then(|q| q.try_into().ok())
        .ok_or(KeyError::Expected("`(q #…#)` of 32 bytes"))
}

/// The one atom after `name`.
pub(super) fn atom<'a>(sexp: &'a Sexp, name: &str) -> Option<&'a [u8]> {
    sexp.only(name)?.as_atom()
}

/// A big-endian number of at most 32 bytes, leading zeros or none.
pub(super) fn number(bytes: &[u8]) -> Option<[u8; 32]> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros..];
    let mut number = [0; 32];
    number
        .get_mut(32usize.checked_sub(digits.len())?..)?
        .copy_from_slice(digits);
    Some(number)
}

/// A big-endian number as libgcrypt prints it: without leading zeros.
pub(super) fn digits(number: &[u8; 32]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn printable(name: &[u8]) -> String {
    name[..name.len().min(40)].escape_ascii().to_string()
}
