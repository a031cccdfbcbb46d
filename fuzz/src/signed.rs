//! Keys, signatures, and what is signed.

use grange_derivation::{Dialect, StoreDir};
use grange_signatures::export::{Decoder, Event};
use grange_signatures::guix::{Acl, PublicKey, SecretKey, Signature};
use grange_signatures::narinfo::Narinfo;
use grange_signatures::sexp::Sexp;
use grange_signatures::{TrustedKeys, nix};

pub(crate) fn sexp(bytes: &[u8]) {
    let Ok(sexp) = Sexp::parse(bytes) else {
        return;
    };
    assert_eq!(Sexp::parse(&sexp.to_advanced()).as_ref(), Ok(&sexp));
    let canonical = sexp.to_canonical();
    assert_eq!(Sexp::parse_canonical(&canonical).as_ref(), Ok(&sexp));
    if let Ok(again) = Sexp::parse_canonical(bytes) {
        assert_eq!(again, sexp, "there is one way to read it");
    }
}

pub(crate) fn keys(bytes: &[u8]) {
    if let Ok(key) = PublicKey::parse(bytes) {
        assert_eq!(PublicKey::parse(&key.to_file()).as_ref(), Ok(&key));
    }
    if let Ok(mut acl) = Acl::parse(bytes) {
        let keys: Vec<_> = acl.keys().collect();
        for key in &keys {
            assert!(
                acl.contains(key) && !acl.authorize(key),
                "it is in the list"
            );
        }
        let again = Acl::parse(&acl.to_file());
        let again: Vec<_> = again.expect("what is printed is read").keys().collect();
        assert_eq!(again, keys);
    }
    if let Ok(key) = SecretKey::parse(bytes) {
        let signature = key.sign(&[7; 32]);
        assert!(signature.verify(&[7; 32]).is_ok(), "a key's own signature");
    }
    if let Ok(signature) = Signature::parse(bytes) {
        let again = Signature::parse(&signature.to_advanced());
        assert_eq!(again.as_ref(), Ok(&signature));
        let _ = signature.verify(&[7; 32]);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(key) = nix::PublicKey::parse(text) {
            assert_eq!(nix::PublicKey::parse(&key.to_string()).as_ref(), Ok(&key));
        }
        if let Ok(signature) = nix::Signature::parse(text) {
            let again = nix::Signature::parse(&signature.to_string());
            assert_eq!(again.as_ref(), Ok(&signature));
        }
        if let Ok(key) = nix::SecretKey::parse(text) {
            let signature = key.sign("1;");
            assert!(
                key.public().verify(&signature, "1;").is_ok(),
                "a key's own signature"
            );
        }
    }
}

pub(crate) fn narinfo_guix(bytes: &[u8]) {
    narinfo(Dialect::Guix, &StoreDir::guix(), bytes);
}

pub(crate) fn narinfo_nix(bytes: &[u8]) {
    narinfo(Dialect::Nix, &StoreDir::nix(), bytes);
}

/// Nobody is trusted, so nothing counts; what is printed says the same.
fn narinfo(dialect: Dialect, store: &StoreDir, bytes: &[u8]) {
    let Ok(narinfo) = Narinfo::parse(dialect, store, bytes) else {
        return;
    };
    assert!(
        narinfo.verify(&TrustedKeys::default()).is_err(),
        "nobody is trusted"
    );
    let path = narinfo.facts().path.clone();
    assert!(narinfo.about(&path).is_ok(), "it is about what it is about");
    let printed = narinfo.print();
    let again = Narinfo::parse(dialect, store, printed.as_bytes());
    let again = again.expect("what is printed is read");
    assert_eq!(again.facts(), narinfo.facts());
    assert_eq!(again.sources(), narinfo.sources());
    assert_eq!(again.print(), printed, "it is printed one way");
}

/// Cut anywhere, an archive holds the same.
pub(crate) fn export(bytes: &[u8]) {
    let (front, back) = bytes.split_at(bytes.len() / 2);
    assert_eq!(items(&[bytes]), items(&[front, back]));
}

/// How many items, and how many bytes of nars, are in an archive; none if it is not one.
fn items(pieces: &[&[u8]]) -> Option<(usize, usize)> {
    let mut decoder = Decoder::new(StoreDir::guix());
    let (mut items, mut length) = (0, 0);
    for piece in pieces {
        let mut input = *piece;
        while let Some(event) = decoder.decode(&mut input).ok()? {
            match event {
                Event::Nar(bytes) => length += bytes.len(),
                Event::Item(item) => {
                    let verified = item.verify(&TrustedKeys::default());
                    assert!(verified.is_err(), "nobody is trusted");
                    items += 1;
                }
            }
        }
    }
    decoder.finish().ok()?;
    Some((items, length))
}
