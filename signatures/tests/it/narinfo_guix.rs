//! Narinfos of Guix: read, written bit for bit, verified.

use crate::data;
use grange_derivation::{Dialect, Hash, StoreDir, StorePath};
use grange_signatures::guix::SecretKey;
use grange_signatures::narinfo::{Compression, Error, Facts, Narinfo, Signer, Source};
use grange_signatures::{TrustedKeys, VerifyError};
use proptest::prelude::*;

fn parse(text: &[u8]) -> Result<Narinfo, Error> {
    Narinfo::parse(Dialect::Guix, &StoreDir::guix(), text)
}

#[test]
fn guix_s_narinfos_are_read_and_written_bit_for_bit() {
    for (name, text) in data::files("guix/narinfo") {
        let read = parse(&text).unwrap();
        assert_eq!(
            read.verify(&data::trusted()),
            Ok(Signer::Guix(data::public())),
            "{name}"
        );
        assert_eq!(read.print().as_bytes(), text, "{name}");
        // The same made from the facts: signature included.
        let key = data::secret();
        let made = Narinfo::guix(
            read.facts().clone(),
            read.sources().to_vec(),
            Some((&key, "vm")),
        );
        assert_eq!(made.unwrap().print().as_bytes(), text, "{name}");
        let several = !name.contains(".none.");
        assert_eq!(read.sources().len(), if several { 3 } else { 1 });
        assert_eq!(read.sources()[0].file_size.is_some(), !several);
        for source in read.sources() {
            assert!(source.url.relative().is_some() && source.compression.is_known());
        }
    }
}

#[test]
fn it_says_what_the_daemon_says() {
    let lines = String::from_utf8(data::read("guix/items.jsonl")).unwrap();
    for line in lines.lines() {
        let name = data::field(line, "name");
        let read = parse(&data::read(&format!("guix/narinfo/{name}.narinfo"))).unwrap();
        let facts = read.facts();
        assert_eq!(facts.path.to_string(), data::field(line, "path"));
        let hash = Hash::from_sha256(facts.nar_sha256);
        assert_eq!(hash.to_base16(), data::field(line, "nar_sha256_hex"));
        assert!(
            line.contains(&format!("\"nar_size\":{}", facts.nar_size)),
            "{line}"
        );
        for path in facts.references.iter().chain(&facts.deriver) {
            assert!(line.contains(&path.to_string()), "{line}");
        }
        read.about(&facts.path).unwrap();
        let other = StorePath::new(&StoreDir::guix(), [0; 20], "x").unwrap();
        assert!(matches!(read.about(&other), Err(Error::OtherItem { .. })));
    }
}

#[test]
fn unsigned_and_foreign() {
    let facts = facts();
    let unsigned = Narinfo::guix(facts.clone(), vec![source()], None).unwrap();
    let read = parse(unsigned.print().as_bytes()).unwrap();
    assert_eq!(read, unsigned);
    assert_eq!(read.verify(&data::trusted()), Err(VerifyError::Unsigned));

    let other = SecretKey::generate(&[3; 32]);
    let foreign = Narinfo::guix(facts, vec![source()], Some((&other, "h"))).unwrap();
    let read = parse(foreign.print().as_bytes()).unwrap();
    let error = read.verify(&data::trusted()).unwrap_err();
    assert!(
        error.to_string().contains(&other.public().to_string()),
        "{error}"
    );
    assert_eq!(read.guix_signature().unwrap().key(), other.public());
    let mut both = data::trusted();
    both.add_guix(*other.public());
    assert_eq!(read.verify(&both), Ok(Signer::Guix(*other.public())));
}

#[test]
fn an_unsupported_signature_is_kept_and_not_trusted() {
    let text = String::from_utf8(data::read("guix/narinfo/one.narinfo")).unwrap();
    let rsa =
        b"(signature (data (flags rfc6979)) (sig-val (rsa (s #01#))) (public-key (rsa (n #01#))))";
    let text = with_signature(&text, rsa);
    let read = parse(text.as_bytes()).unwrap();
    let error = read.verify(&data::trusted()).unwrap_err();
    assert!(format!("{:?}", error).contains("rsa"), "{error:?}");
    assert_eq!(read.guix_signature(), None);
    assert_eq!(read.print(), text);
}

#[test]
fn a_signature_with_a_number_in_quotation_marks() {
    // Guix reads its bytes as Latin-1 and encodes that in UTF-8 before base 64.
    let key = data::secret();
    // The first size that gives one.
    let facts = Facts {
        nar_size: 741,
        ..facts()
    };
    let narinfo = Narinfo::guix(facts, vec![source()], Some((&key, "vm"))).unwrap();
    let signature = narinfo.guix_signature().unwrap().to_advanced();
    assert!(signature.iter().any(|byte| *byte > 0x7f));
    assert_eq!(parse(narinfo.print().as_bytes()).unwrap(), narinfo);
    narinfo.verify(&data::trusted()).unwrap();
}

#[test]
fn old_servers_sign_the_sources_too() {
    let key = data::secret();
    let path = facts().path;
    let covered = format!(
        "StorePath: {path}\nURL: nar/x\nCompression: gzip\nNarHash: sha256:{}\nNarSize: 112\n\
         References: \nFileSize: 50\nX-Unknown: y\n",
        Hash::from_sha256([1; 32]).to_base32()
    );
    let signature = key.sign(&Hash::sha256(covered.as_bytes()).to_sha256().unwrap());
    let encoded = data_encoding_base64(&signature.to_advanced());
    let text = format!("{covered}Signature: 1;old;{encoded}\nURL: nar/y\nCompression: lzip\n");
    let read = parse(text.as_bytes()).unwrap();
    read.verify(&data::trusted()).unwrap();
    assert_eq!(read.sources().len(), 2);
    assert_eq!(read.sources()[0].file_size, Some(50));
    assert_eq!(read.sources()[1].compression, Compression::Lzip);
    assert_eq!(read.print(), text);
}

#[test]
fn any_byte_changed_before_the_sources_is_refused() {
    let text = data::read("guix/narinfo/refs-allowed.narinfo");
    let (facts, at_signature) = {
        let text = String::from_utf8(text.clone()).unwrap();
        (
            parse(text.as_bytes()).unwrap().into_facts(),
            text.find("Signature: ").unwrap(),
        )
    };
    let sources = String::from_utf8_lossy(&text).find("URL: ").unwrap();
    for at in (0..at_signature).chain((at_signature..sources).step_by(29)) {
        let mut changed = text.clone();
        changed[at] ^= 1;
        if let Ok(read) = parse(&changed) {
            // The host's name is not signed, and white space in the signature has no meaning.
            let verified = read.verify(&data::trusted()).is_ok();
            assert!(
                !verified || (at > at_signature && *read.facts() == facts),
                "byte {at}"
            );
        }
    }
}

fn facts() -> Facts {
    let path = StorePath::parse_any("/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello");
    Facts::new(path.unwrap(), [1; 32], 112)
}

fn source() -> Source {
    Source::new(
        "nar/zstd/2nfg943a-hello".parse().unwrap(),
        Compression::Zstd,
    )
}

fn with_signature(text: &str, signature: &[u8]) -> String {
    let start = text.find("Signature: ").unwrap();
    let end = start + text[start..].find('\n').unwrap();
    let encoded = data_encoding_base64(signature);
    format!(
        "{}Signature: 1;vm;{encoded}{}",
        &text[..start],
        &text[end..]
    )
}

fn data_encoding_base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_facts_survive(
        digests in proptest::collection::btree_set(any::<[u8; 20]>(), 1..30),
        name in "[a-zA-Z0-9+_?=-][a-zA-Z0-9+._?=-]{0,60}",
        hash: [u8; 32],
        size in 1u64..i64::MAX as u64,
        deriver: bool,
        system in proptest::option::of("[a-z0-9_]{1,10}-linux"),
        compressions in proptest::collection::vec("[a-z0-9]{1,8}", 1..4),
        file_size in proptest::option::of(0u64..1 << 40),
    ) {
        let store = StoreDir::guix();
        let paths: Vec<_> = digests.iter().map(|d| StorePath::new(&store, *d, &name).unwrap()).collect();
        let mut facts = Facts::new(paths[0].clone(), hash, size);
        facts.references = paths.into_iter().skip(1).collect();
        facts.deriver = deriver.then(|| StorePath::new(&store, [1; 20], "x.drv").unwrap());
        facts.system = system;
        let sources = compressions.iter().map(|name| {
            let mut source = Source::new(format!("nar/{name}/x").parse().unwrap(), Compression::from_name(name));
            source.file_size = file_size;
            source
        });
        let made = Narinfo::guix(facts, sources.collect(), Some((&data::secret(), "h"))).unwrap();
        let read = parse(made.print().as_bytes()).unwrap();
        prop_assert_eq!(&read, &made);
        prop_assert!(read.verify(&data::trusted()).is_ok());
        prop_assert!(read.verify(&TrustedKeys::new()).is_err());
    }
}
