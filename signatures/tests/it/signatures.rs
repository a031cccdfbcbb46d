//! Keys and signatures of Guix: read, reproduced bit for bit, verified, refused.

use crate::data;
use grange_signatures::guix::{Acl, KeyError, PublicKey, SecretKey, Signature, SignatureError};
use grange_signatures::sexp::Sexp;
use grange_signatures::{TrustedKeys, VerifyError};
use proptest::prelude::*;

fn bare() -> Vec<([u8; 32], Vec<u8>)> {
    let lines = String::from_utf8(data::read("guix/signatures.jsonl")).unwrap();
    lines
        .lines()
        .map(|line| {
            let hash = grange_derivation::Hash::parse(
                grange_derivation::HashAlgo::Sha256,
                &data::field(line, "hash"),
            );
            let text = data::field(line, "signature").into_bytes();
            (hash.unwrap().to_sha256().unwrap(), text)
        })
        .collect()
}

#[test]
fn the_key_files_of_guix_are_read_and_written() {
    let (secret, public) = (data::secret(), data::public());
    assert_eq!(*secret.public(), public);
    assert_eq!(secret.to_file().expose(), data::read("guix/TEST-KEY.sec"));
    assert_eq!(public.to_file(), data::read("guix/TEST-KEY.pub"));
    let canonical = public.to_sexp().to_canonical();
    assert_eq!(PublicKey::parse(&canonical).unwrap(), public);
}

#[test]
fn signatures_are_reproduced_and_verified() {
    let (secret, bare) = (data::secret(), bare());
    assert_eq!(bare.len(), 7);
    for (hash, text) in bare {
        let signature = secret.sign(&hash);
        assert_eq!(signature.to_advanced(), text);
        let read = Signature::parse(&text).unwrap();
        assert_eq!(read, signature);
        assert_eq!(read.verify(&hash), Ok(()));
        assert_eq!(
            data::trusted().verify_guix(&read, &hash),
            Ok(data::public())
        );
    }
}

#[test]
fn numbers_in_quotation_marks_are_reproduced_and_verified() {
    let lines = String::from_utf8(data::read("guix/quoted.txt")).unwrap();
    assert_eq!(lines.lines().count(), 3);
    for line in lines.lines() {
        let (hash, text) = line.split_once(' ').unwrap();
        let decode = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let (hash, text) = (decode(hash).try_into().unwrap(), decode(text));
        assert!(text.contains(&b'"'));
        assert_eq!(data::secret().sign(&hash).to_advanced(), text);
        assert_eq!(Signature::parse(&text).unwrap().verify(&hash), Ok(()));
    }
}

#[test]
fn a_signature_of_other_bytes_says_so() {
    let signature = data::secret().sign(&[1; 32]);
    let error = signature.verify(&[2; 32]).unwrap_err();
    assert!(matches!(error, SignatureError::OtherBytes { key, .. } if key == data::public()));
}

#[test]
fn a_key_that_is_not_trusted_is_named() {
    let (mine, other) = (data::secret(), SecretKey::generate(&[9; 32]));
    let error = data::trusted()
        .verify_guix(&other.sign(&[1; 32]), &[1; 32])
        .unwrap_err();
    assert_eq!(
        error,
        VerifyError::NotTrusted(vec![other.public().to_string()])
    );
    assert_eq!(
        TrustedKeys::new().verify_guix(&mine.sign(&[1; 32]), &[1; 32]),
        Err(VerifyError::NotTrusted(vec![mine.public().to_string()]))
    );
}

#[test]
fn another_key_in_a_signature_does_not_make_it_hold() {
    let (mine, other) = (data::secret(), SecretKey::generate(&[9; 32]));
    let text = String::from_utf8(mine.sign(&[1; 32]).to_advanced()).unwrap();
    let forged = text.replace(&mine.public().to_string(), &other.public().to_string());
    assert_ne!(text, forged);
    let signature = Signature::parse(forged.as_bytes()).unwrap();
    assert_eq!(
        signature.verify(&[1; 32]),
        Err(SignatureError::Forged(*other.public()))
    );
}

#[test]
fn bad_keys_are_refused() {
    let file = String::from_utf8(data::read("guix/TEST-KEY.sec")).unwrap();
    let parse = |text: String| SecretKey::parse(text.as_bytes()).unwrap_err();
    assert_eq!(parse(file.replace("FB48#", "FB49#")), KeyError::Mismatch);
    assert!(matches!(
        parse(file.replace("private-key", "public-key")),
        KeyError::Expected(_)
    ));
    assert_eq!(
        parse(file.replace("Ed25519", "Ed448")),
        KeyError::Algorithm("ECC on Ed448".into())
    );
    assert_eq!(
        parse("(private-key (rsa (n #00#)))".into()),
        KeyError::Algorithm("rsa".into())
    );
    let q = data::public().to_string();
    // Zero, the order, and eight times the order.
    for d in [
        "00",
        "1000000000000000000000000000000014DEF9DEA2F79CD65812631A5CF5D3ED",
        "80000000000000000000000000000000A6F7CEF517BCE6B2C09318D2E7AE9F68",
    ] {
        let text = format!("(private-key (ecc (curve Ed25519) (q #{q}#) (d #{d}#)))");
        assert_eq!(parse(text), KeyError::Secret);
    }
    let long = format!("(private-key (ecc (curve Ed25519) (q #{q}#) (d #01{q}#)))");
    assert!(matches!(parse(long), KeyError::Expected(_)));
    assert!(matches!(parse("(private-key".into()), KeyError::Sexp(_)));
    // The neutral point, one of order 8, one on no curve, y beyond the field, a torsion point added to a good one.
    let mut bad: Vec<[u8; 32]> = vec![[0; 32]; 5];
    bad[0][0] = 1;
    bad[1] = *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a";
    bad[2][0] = 2;
    bad[3] = [0xff; 32];
    // Order 4: y is 0.
    for q in bad {
        assert_eq!(PublicKey::from_bytes(q), Err(KeyError::Point), "{q:x?}");
    }
}

#[test]
fn the_secret_is_not_shown() {
    let key = data::secret();
    let shown = format!(
        "{key:?} {:?} {:?}",
        key.to_file(),
        Sexp::parse(key.to_file().expose())
    );
    assert!(shown.contains("4AB4FF96"), "the public part is: {shown}");
    assert!(
        !shown.contains("77B2F174") && !shown.contains("119, 178"),
        "{shown}"
    );
}

#[test]
fn access_control_lists() {
    let mut acl = Acl::new();
    let (one, other) = (data::public(), *SecretKey::generate(&[1; 32]).public());
    assert!(!acl.contains(&one));
    assert!(acl.authorize(&one) && !acl.authorize(&one) && acl.authorize(&other));
    let file = acl.to_file();
    assert!(file.starts_with(b"(acl \n (entry \n  (public-key \n   (ecc \n    (curve Ed25519)\n"));
    assert_eq!(Acl::parse(&file).unwrap(), acl);
    assert!(acl.revoke(&one) && !acl.contains(&one) && acl.contains(&other));
    assert_eq!(acl.keys().collect::<Vec<_>>(), [other]);

    let mut trusted = TrustedKeys::new();
    trusted.add_acl(&acl);
    assert!(trusted.guix().eq([&other]));

    assert_eq!(Acl::parse(b"(acl)").unwrap(), Acl::new());
    let rsa = b"(acl (entry (public-key (rsa (n #01#) (e #03#))) (tag (guix import))))";
    assert_eq!(Acl::parse(rsa).unwrap().unsupported(), 1);
    for bad in [&b"(lca)"[..], b"acl", b"(acl", b"(acl (entry))"] {
        assert!(Acl::parse(bad).is_err());
    }
    let other_tag = b"(acl (entry (public-key (rsa)) (tag (guix export))))";
    assert!(Acl::parse(other_tag).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_key_signs_and_is_read_back(random: [u8; 32], hash: [u8; 32]) {
        let key = SecretKey::generate(&random);
        let again = SecretKey::parse(key.to_file().expose()).unwrap();
        prop_assert_eq!(key.public(), again.public());
        let signature = key.sign(&hash);
        prop_assert_eq!(&again.sign(&hash), &signature);
        prop_assert_eq!(signature.verify(&hash), Ok(()));
        prop_assert_eq!(Signature::parse(&signature.to_sexp().to_canonical()).unwrap(), signature);
    }

    /// Any byte of the signature's value changed: it is refused, or it is the same value in other spelling.
    #[test]
    fn any_byte_changed_is_refused(at in 0usize..430, bit in 0u32..8) {
        let (hash, text) = bare().swap_remove(0);
        let mut changed = text.clone();
        let at = at % text.len();
        changed[at] ^= 1 << bit;
        if let Ok(signature) = Signature::parse(&changed) {
            let same = signature.to_advanced() == text;
            prop_assert_eq!(data::trusted().verify_guix(&signature, &hash).is_ok(), same);
        }
    }

    #[test]
    fn any_bytes_are_no_key(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(SecretKey::parse(&bytes).is_err());
        prop_assert!(PublicKey::parse(&bytes).is_err());
        prop_assert!(Signature::parse(&bytes).is_err());
    }
}
