//! ECDSA on the twisted Edwards curve of Ed25519, as libgcrypt does it.
//!
//! The hash is cut to its leftmost 253 bits (the order has so many); `r` is the affine x coordinate of the nonce's point
//! modulo the order; nonces are those of RFC 6979 with HMAC-SHA-256.
//!
//! The trap: a secret `d` is any number of 255 bits, as it stands. The point is the same for `d` and `d` modulo the
//! order, but the nonce is seeded with the 32 bytes of the former.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use num_bigint::BigUint;
use sha2::Sha256;
use std::sync::LazyLock;
use zeroize::{Zeroize as _, Zeroizing};

/// Whether the bytes are a public key: a compressed point, in its one form, and of the group's order.
pub(super) fn is_public(compressed: &[u8; 32]) -> bool {
    CompressedEdwardsY(*compressed)
        .decompress()
        .is_some_and(|point| {
            // Decompression takes y modulo p, so that some points have two texts.
            point.compress().0 == *compressed && !point.is_identity() && point.is_torsion_free()
        })
}

/// The compressed point of a secret number, or `None` if it is a multiple of the order.
pub(super) fn public(secret: &[u8; 32]) -> Option<[u8; 32]> {
    let scalar = Zeroizing::new(reduce(secret));
    let point = EdwardsPoint::mul_base(&scalar);
    (!point.is_identity()).then(|| point.compress().0)
}

/// Signs a hash: `r` and `s`, big-endian.
pub(super) fn sign(secret: &[u8; 32], hash: &[u8; 32]) -> ([u8; 32], [u8; 32]) {
    let number = Zeroizing::new(reduce(secret));
    let z = truncated(hash);
    let mut nonces = Nonces::new(secret, &reversed(z.to_bytes()));
    loop {
        let nonce = Zeroizing::new(nonces.next());
        let r = reduce(&x_coordinate(&EdwardsPoint::mul_base(&nonce)));
        let inverse = Zeroizing::new(nonce.invert());
        let product = Zeroizing::new(*number * r);
        let sum = Zeroizing::new(z + *product);
        let s = *inverse * *sum;
        if r != Scalar::ZERO && s != Scalar::ZERO {
            return (reversed(r.to_bytes()), reversed(s.to_bytes()));
        }
    }
}

/// Whether `r` and `s`, big-endian, are a signature of a hash by a public key. Nothing here is secret.
pub(super) fn verify(key: &[u8; 32], hash: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> bool {
    let (Some(key), Some(r), Some(s)) = (
        CompressedEdwardsY(*key).decompress(),
        in_range(r),
        in_range(s),
    ) else {
        return false;
    };
    let inverse = s.invert();
    let (on_base, on_key) = (truncated(hash) * inverse, r * inverse);
    let found = EdwardsPoint::vartime_double_scalar_mul_basepoint(&on_key, &key, &on_base);
    !found.is_identity() && reduce(&x_coordinate(&found)) == r
}

/// A big-endian number that is neither 0 nor as large as the order.
fn in_range(number: &[u8; 32]) -> Option<Scalar> {
    let scalar = Option::<Scalar>::from(Scalar::from_canonical_bytes(reversed(*number)))?;
    (scalar != Scalar::ZERO).then_some(scalar)
}

/// A big-endian number modulo the order.
fn reduce(number: &[u8; 32]) -> Scalar {
    let mut little = reversed(*number);
    let scalar = Scalar::from_bytes_mod_order(little);
    little.zeroize();
    scalar
}

/// The leftmost 253 bits of a hash, modulo the order.
fn truncated(hash: &[u8; 32]) -> Scalar {
    reduce(&leftmost(hash))
}

/// The leftmost 253 bits: libgcrypt shifts by 3 whatever the number of leading zeros.
fn leftmost(bytes: &[u8; 32]) -> [u8; 32] {
    let mut shifted = [0; 32];
    let mut carried = 0;
    for (out, byte) in shifted.iter_mut().zip(bytes) {
        *out = carried | byte >> 3;
        carried = byte << 5;
    }
    shifted
}

fn reversed(mut bytes: [u8; 32]) -> [u8; 32] {
    bytes.reverse();
    bytes
}

/// The nonces of RFC 6979, section 3.2: the ones that follow are for the case that the first gives a zero.
struct Nonces {
    key: Zeroizing<[u8; 32]>,
    value: Zeroizing<[u8; 32]>,
    /// Whether a nonce was taken, so that the state has to move on.
    taken: bool,
}

impl Nonces {
    fn new(secret: &[u8; 32], hash: &[u8; 32]) -> Self {
        let mut nonces = Self {
            key: Zeroizing::new([0; 32]),
            value: Zeroizing::new([1; 32]),
            taken: false,
        };
        for separator in [0, 1] {
            nonces.stir(separator, &[secret, hash]);
        }
        nonces
    }

    fn next(&mut self) -> Scalar {
        loop {
            if self.taken {
                self.stir(0, &[]);
            }
            self.taken = true;
            self.value = mac(&self.key, &[&*self.value]);
            let candidate = Zeroizing::new(leftmost(&self.value));
            if let Some(nonce) = in_range(&candidate) {
                return nonce;
            }
        }
    }

    fn stir(&mut self, separator: u8, seed: &[&[u8; 32]]) {
        let mut parts: Vec<&[u8]> = vec![&*self.value];
        let separator = [separator];
        parts.push(&separator);
        parts.extend(seed.iter().map(|part| part.as_slice()));
        self.key = mac(&self.key, &parts);
        self.value = mac(&self.key, &[&*self.value]);
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// The field: p = 2^255 - 19, the curve's d = -121665/121666, and a square root of -1.
struct Field {
    p: BigUint,
    d: BigUint,
    root: BigUint,
    /// (p - 5) / 8
    exponent: BigUint,
}

static FIELD: LazyLock<Field> = LazyLock::new(|| {
    let p = (BigUint::from(1u8) << 255) - 19u8;
    let inverse = BigUint::from(121_666u32).modpow(&(&p - 2u8), &p);
    let d = (&p - 121_665u32) * inverse % &p;
    let root = BigUint::from(2u8).modpow(&((&p - 1u8) >> 2), &p);
    let exponent = (&p - 5u8) >> 3;
    Field {
        p,
        d,
        root,
        exponent,
    }
});

/// The affine x coordinate, big-endian, recovered from the compressed point as RFC 8032, section 5.1.3 does.
///
/// It is public wherever it is needed: `r` is it modulo the order, so that its time may depend on it.
fn x_coordinate(point: &EdwardsPoint) -> [u8; 32] {
    let Field {
        p,
        d,
        root,
        exponent,
    } = &*FIELD;
    let mut compressed = point.compress().0;
    let odd = compressed[31] >> 7;
    compressed[31] &= 0x7f;
    let y = BigUint::from_bytes_le(&compressed);
    let square = &y * &y % p;
    let u = (&square + p - 1u8) % p;
    let v = (d * &square + 1u8) % p;
    let cube = &v * &v % p * &v % p;
    let seventh = &cube * &cube % p * &v % p;
    let mut x = &u * &cube % p * (&u * &seventh % p).modpow(exponent, p) % p;
    if &x * &x % p * &v % p != u {
        x = x * root % p;
    }
    if x.bit(0) != (odd == 1) {
        x = (p - x) % p;
    }
    let mut bytes = [0; 32];
    let digits = x.to_bytes_be();
    bytes[32 - digits.len()..].copy_from_slice(&digits);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;

    #[test]
    fn x_of_the_base_point() {
        let x = x_coordinate(&ED25519_BASEPOINT_POINT);
        // RFC 8032, section 5.1.
        let expected =
            "15112221349535400772501151409588531511454012693041857206046113283949847762202";
        assert_eq!(BigUint::from_bytes_be(&x).to_string(), expected);
        let negative = x_coordinate(&-ED25519_BASEPOINT_POINT);
        assert_eq!(
            BigUint::from_bytes_be(&x) + BigUint::from_bytes_be(&negative),
            FIELD.p
        );
    }

    #[test]
    fn recovered_coordinates_lie_on_the_curve() {
        let Field { p, d, .. } = &*FIELD;
        let mut point = ED25519_BASEPOINT_POINT;
        for _ in 0..50 {
            point += ED25519_BASEPOINT_POINT;
            let x = BigUint::from_bytes_be(&x_coordinate(&point));
            let mut compressed = point.compress().0;
            assert_eq!(x.bit(0), compressed[31] >> 7 == 1);
            compressed[31] &= 0x7f;
            let y = BigUint::from_bytes_le(&compressed);
            let (xx, yy) = (&x * &x % p, &y * &y % p);
            assert_eq!((&yy + p - &xx) % p, (d * &xx % p * &yy + 1u8) % p);
        }
    }

    #[test]
    fn leftmost_bits() {
        assert_eq!(leftmost(&[0xff; 32])[..2], [0x1f, 0xff]);
        let mut one = [0; 32];
        one[31] = 0x0f;
        assert_eq!(leftmost(&one)[31], 1);
    }
}
