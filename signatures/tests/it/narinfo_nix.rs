//! Narinfos of Nix: read, written bit for bit, verified.

use crate::data;
use grange_derivation::{Dialect, StoreDir, StorePath};
use grange_signatures::narinfo::{Compression, Error, Facts, Narinfo, Signer, Source};
use grange_signatures::nix::{KeyName, PublicKey, SecretKey};
use grange_signatures::{TrustedKeys, VerifyError};

fn parse(text: &[u8]) -> Result<Narinfo, Error> {
    Narinfo::parse(Dialect::Nix, &StoreDir::nix(), text)
}

fn public(n: u8) -> PublicKey {
    PublicKey::parse(&read(&format!("nix/TEST-KEY-{n}.pub"))).unwrap()
}

fn secret(n: u8) -> SecretKey {
    SecretKey::parse(&read(&format!("nix/TEST-KEY-{n}.sec"))).unwrap()
}

fn read(name: &str) -> String {
    String::from_utf8(data::read(name)).unwrap()
}

fn trusting(n: u8) -> TrustedKeys {
    let mut trusted = TrustedKeys::new();
    trusted.add_nix(public(n));
    trusted
}

#[test]
fn nix_s_narinfos_are_read_and_written_bit_for_bit() {
    for name in ["a", "b", "single", "xz"] {
        let text = read(&format!("nix/narinfo/{name}.narinfo"));
        let read = parse(text.as_bytes()).unwrap();
        assert_eq!(
            read.verify(&trusting(1)),
            Ok(Signer::Nix(public(1))),
            "{name}"
        );
        assert_eq!(read.print(), text);
        let keys = [&secret(1), &secret(2)];
        let count = read.nix_signatures().len();
        let made = Narinfo::nix(
            read.facts().clone(),
            read.sources()[0].clone(),
            &keys[..count],
        );
        assert_eq!(made.unwrap().print(), text);
        assert_eq!(
            read.facts().content_address.is_some(),
            matches!(name, "a" | "b")
        );
        assert_eq!(
            read.facts().deriver.is_some(),
            matches!(name, "single" | "xz")
        );
    }
}

#[test]
fn either_of_two_signatures_will_do() {
    let read = parse(&data::read("nix/narinfo/b.narinfo")).unwrap();
    assert_eq!(read.facts().references.len(), 1);
    assert_eq!(read.verify(&trusting(2)), Ok(Signer::Nix(public(2))));
    let error = read.verify(&TrustedKeys::new()).unwrap_err();
    let names = ["grange-test-1", "grange-test-2"].map(str::to_owned);
    assert_eq!(error, VerifyError::NotTrusted(names.to_vec()));
}

#[test]
fn another_signature_is_added_once() {
    let mut read = parse(&data::read("nix/narinfo/a.narinfo")).unwrap();
    read.add_nix_signature(&secret(2));
    read.add_nix_signature(&secret(2));
    assert_eq!(read.nix_signatures().len(), 2);
    let again = parse(read.print().as_bytes()).unwrap();
    assert_eq!(again.verify(&trusting(2)), Ok(Signer::Nix(public(2))));
}

#[test]
fn what_nix_takes_for_granted() {
    let text = read("nix/narinfo/single.narinfo");
    let without = text.replace("Compression: zstd\n", "");
    assert_eq!(
        parse(without.as_bytes()).unwrap().sources()[0].compression,
        Compression::Bzip2
    );
    let deriver = text
        .lines()
        .find(|line| line.starts_with("Deriver"))
        .unwrap();
    let unknown = text.replace(deriver, "Deriver: unknown-deriver");
    assert_eq!(parse(unknown.as_bytes()).unwrap().facts().deriver, None);
    // Any order, any notation of hashes.
    let read = parse(text.as_bytes()).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.reverse();
    let reversed = lines.join("\n") + "\n";
    assert_eq!(parse(reversed.as_bytes()).unwrap(), read);
    let hash = grange_derivation::Hash::from_sha256(read.facts().nar_sha256);
    for other in [hash.to_string(), hash.to_sri()] {
        let spelled = text.replace(
            &format!("NarHash: sha256:{}", hash.to_base32()),
            &format!("NarHash: {other}"),
        );
        assert_ne!(spelled, text);
        assert_eq!(parse(spelled.as_bytes()).unwrap(), read);
    }
}

#[test]
fn what_the_fingerprint_covers_cannot_be_changed() {
    let text = read("nix/narinfo/b.narinfo");
    let changes = [
        ("-b\n", "-c\n"),
        ("NarSize: 168", "NarSize: 169"),
        ("sha256:194k", "sha256:094k"),
        ("References: f", "References: g"),
    ];
    for (from, to) in changes {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        let read = parse(changed.as_bytes()).unwrap();
        assert!(
            matches!(read.verify(&trusting(1)), Err(VerifyError::Nix(_))),
            "{to}"
        );
    }
}

#[test]
fn what_would_break_a_line_is_not_printed() {
    let path = StorePath::parse_any("/nix/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello").unwrap();
    let source = || Source::new("nar/x".parse().unwrap(), Compression::None);
    let key = SecretKey::generate(KeyName::new("k").unwrap(), &[1; 32]);
    let mut facts = Facts::new(path, [1; 32], 112);
    facts.content_address = Some("x\nSig: y".to_owned());
    let error = Narinfo::nix(facts.clone(), source(), &[&key]).unwrap_err();
    assert_eq!(error, Error::Unprintable("CA"));
    facts.content_address = None;
    facts.system = Some("x\nURL: y".to_owned());
    let error = Narinfo::guix(facts.clone(), vec![source()], None).unwrap_err();
    assert_eq!(error, Error::Unprintable("System"));
    facts.system = None;
    let mut odd = source();
    odd.compression = Compression::Unknown("a\nb".to_owned());
    let error = Narinfo::nix(facts.clone(), odd, &[&key]).unwrap_err();
    assert_eq!(error, Error::Unprintable("Compression"));
    let guix = grange_signatures::guix::SecretKey::generate(&[1; 32]);
    for host in ["", "a;b", "a b", "a\nb"] {
        let made = Narinfo::guix(facts.clone(), vec![source()], Some((&guix, host)));
        assert!(matches!(made, Err(Error::Host(_))));
    }
}
