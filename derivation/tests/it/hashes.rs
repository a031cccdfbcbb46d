//! Notations of hashes.

use crate::fixtures::read;
use grange_derivation::{Hash, HashAlgo, HashError};
use serde_json::Value;

#[test]
fn all_notations_of_guixs_own_hashes() {
    for line in String::from_utf8(read("nar-vectors/items.jsonl"))
        .unwrap()
        .lines()
    {
        let item: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| item[key].as_str().unwrap().to_owned();
        let (hex, base32, base64) = (
            text("nar_sha256_hex"),
            text("nar_sha256_base32"),
            text("nar_sha256_base64"),
        );
        let hash = Hash::parse(HashAlgo::Sha256, &hex).unwrap();
        assert_eq!(Hash::parse(HashAlgo::Sha256, &base32), Ok(hash));
        assert_eq!(Hash::parse(HashAlgo::Sha256, &base64), Ok(hash));
        assert_eq!(Hash::parse_any(&format!("sha256:{base32}")), Ok(hash));
        assert_eq!(Hash::parse_any(&format!("sha256-{base64}")), Ok(hash));
        assert_eq!((hash.to_base16(), hash.to_base32()), (hex.clone(), base32));
        assert_eq!(hash.to_sri(), format!("sha256-{base64}"));
        assert_eq!(hash.to_string(), format!("sha256:{hex}"));
    }
}

#[test]
fn computed() {
    for (algo, hex) in [
        (HashAlgo::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            HashAlgo::Sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            HashAlgo::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ] {
        let mut hasher = algo.hasher().unwrap();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish().to_base16(), hex);
        assert_eq!(HashAlgo::from_name(algo.name().as_bytes()), Some(algo));
    }
    assert!(HashAlgo::Md5.hasher().is_none());
    assert!(Hash::parse_any("md5:900150983cd24fb0d6963f7d28e17f72").is_ok());
}

#[test]
fn refused() {
    let sha256 = HashAlgo::Sha256;
    assert_eq!(Hash::parse(sha256, &"A".repeat(64)), Err(HashError::Base16));
    assert!(matches!(
        Hash::parse(sha256, &"e".repeat(52)),
        Err(HashError::Base32(_))
    ));
    assert_eq!(Hash::parse(sha256, &"A".repeat(44)), Err(HashError::Base64));
    assert_eq!(
        Hash::parse(sha256, ""),
        Err(HashError::Length {
            algo: sha256,
            found: 0
        })
    );
    assert_eq!(Hash::parse_any("sha3:00"), Err(HashError::Algorithm));
    assert_eq!(Hash::parse_any("00"), Err(HashError::Algorithm));
    assert_eq!(
        Hash::parse_any(&format!("sha256-{}", "0".repeat(64))),
        Err(HashError::Base64)
    );
    assert_eq!(
        Hash::new(sha256, &[0; 20]),
        Err(HashError::Length {
            algo: sha256,
            found: 20
        })
    );
}
