//! Keys and signatures of Nix.

use crate::data;
use grange_signatures::nix::{KeyError, KeyName, PublicKey, SecretKey, Signature, SignatureError};
use grange_signatures::{TrustedKeys, VerifyError};
use proptest::prelude::*;

fn secret(n: u8) -> SecretKey {
    SecretKey::parse(&text(&format!("nix/TEST-KEY-{n}.sec"))).unwrap()
}

fn text(name: &str) -> String {
    String::from_utf8(data::read(name)).unwrap()
}

#[test]
fn the_key_files_of_nix_are_read_and_written() {
    for n in [1, 2] {
        let (secret, file) = (secret(n), text(&format!("nix/TEST-KEY-{n}.pub")));
        assert_eq!(secret.public(), PublicKey::parse(&file).unwrap());
        assert_eq!(secret.public().to_string(), file);
        assert_eq!(
            secret.to_file().expose(),
            data::read(&format!("nix/TEST-KEY-{n}.sec"))
        );
        assert_eq!(secret.name().as_str(), format!("grange-test-{n}"));
    }
    let with_newline = text("nix/TEST-KEY-1.sec") + "\n";
    assert_eq!(
        SecretKey::parse(&with_newline).unwrap().public(),
        secret(1).public()
    );
}

#[test]
fn bad_keys_are_refused() {
    let (sec, public) = (text("nix/TEST-KEY-1.sec"), text("nix/TEST-KEY-1.pub"));
    let parse = |text: &str| PublicKey::parse(text).unwrap_err();
    assert_eq!(parse("grange"), KeyError::Form);
    assert!(matches!(
        parse(&public.replace("grange-test-1", "")),
        KeyError::Name(_)
    ));
    assert!(matches!(
        parse(&public.replace('-', " ")),
        KeyError::Name(_)
    ));
    assert!(matches!(
        parse(&public.replace("grange", "gr\u{7}ange")),
        KeyError::Name(_)
    ));
    assert!(matches!(
        parse(&public.replace("grange", &"x".repeat(300))),
        KeyError::Name(_)
    ));
    assert_eq!(parse("a:b"), KeyError::Base64);
    assert_eq!(parse(&public.replace('=', "")), KeyError::Base64);
    assert_eq!(
        parse(&sec),
        KeyError::Length {
            expected: 32,
            found: 64
        }
    );
    assert!(parse(&sec).to_string().ends_with("it is a secret key"));
    let error = SecretKey::parse(&public).unwrap_err();
    assert_eq!(
        error,
        KeyError::Length {
            expected: 64,
            found: 32
        }
    );
    // The neutral point, and bytes that are no point.
    assert_eq!(
        parse("a:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        KeyError::Point
    );
    assert_eq!(
        parse("a:AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        KeyError::Point
    );
    let error = SecretKey::parse(&sec.replace("hdJ3", "idJ3")).unwrap_err();
    assert_eq!(error, KeyError::Mismatch);
}

#[test]
fn the_secret_is_not_shown() {
    let key = secret(1);
    let shown = format!("{key:?} {:?}", key.to_file());
    assert!(
        shown.contains("QVLoXdkO") && !shown.contains("hdJ3"),
        "{shown}"
    );
}

#[test]
fn several_keys_of_one_name_and_of_several() {
    let (one, two) = (secret(1), secret(2));
    let impostor = SecretKey::generate(one.name().clone(), &[5; 32]);
    let by = |key: &SecretKey| key.sign("1;x");
    let mut trusted = TrustedKeys::new();
    assert_eq!(trusted.verify_nix(&[], "1;x"), Err(VerifyError::Unsigned));
    let error = trusted
        .verify_nix(&[by(&one), by(&two)], "1;x")
        .unwrap_err();
    let names = vec!["grange-test-1".to_owned(), "grange-test-2".to_owned()];
    assert_eq!(error, VerifyError::NotTrusted(names));

    assert!(trusted.add_nix(two.public()) && !trusted.add_nix(two.public()));
    assert_eq!(
        trusted.verify_nix(&[by(&one), by(&two)], "1;x"),
        Ok(two.public())
    );
    assert!(trusted.add_nix(one.public()));
    let error = trusted.verify_nix(&[by(&impostor)], "1;x").unwrap_err();
    assert_eq!(
        error,
        VerifyError::Nix(SignatureError::Forged(one.name().clone()))
    );
    // Both signatures count, and both keys of one name.
    assert_eq!(
        trusted.verify_nix(&[by(&impostor), by(&one)], "1;x"),
        Ok(one.public())
    );
    assert!(trusted.add_nix(impostor.public()));
    assert_eq!(
        trusted.verify_nix(&[by(&impostor)], "1;x"),
        Ok(impostor.public())
    );
    assert!(trusted.verify_nix(&[by(&one)], "1;y").is_err());
}

#[test]
fn bad_signatures_are_refused() {
    let good = secret(1).sign("x").to_string();
    assert_eq!(Signature::parse(&good).unwrap().to_string(), good);
    for bad in [
        "",
        "a",
        ":a",
        "a:",
        "a:AAAA",
        &good[1..].replace("range-test-1", ""),
        &format!("{good} "),
    ] {
        assert!(
            matches!(Signature::parse(bad), Err(SignatureError::Form(_))),
            "{bad}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_key_signs_and_is_read_back(random: [u8; 32], name in "[a-zA-Z0-9._-]{1,30}", signed in ".{0,80}") {
        let key = SecretKey::generate(KeyName::new(&name).unwrap(), &random);
        let file = String::from_utf8(key.to_file().expose().to_vec()).unwrap();
        let again = SecretKey::parse(&file).unwrap();
        let public = PublicKey::parse(&again.public().to_string()).unwrap();
        let signature = Signature::parse(&key.sign(&signed).to_string()).unwrap();
        prop_assert!(public.verify(&signature, &signed).is_ok());
        let other = signed + ".";
        prop_assert!(public.verify(&signature, &other).is_err());
    }

    #[test]
    fn any_text_is_refused(text in ".{0,120}") {
        prop_assert!(PublicKey::parse(&text).is_err());
        prop_assert!(SecretKey::parse(&text).is_err());
        prop_assert!(Signature::parse(&text).is_err());
    }
}
