//! Narinfos that somebody else made badly.

use crate::data;
use grange_derivation::{Dialect, StoreDir};
use grange_signatures::narinfo::{Compression, Error, Narinfo, UrlError, ValueError};
use proptest::prelude::*;

fn parse(dialect: Dialect, text: &str) -> Result<Narinfo, Error> {
    Narinfo::parse(dialect, &dialect.store_dir(), text.as_bytes())
}

fn guix() -> String {
    String::from_utf8(data::read("guix/narinfo/refs-allowed.narinfo")).unwrap()
}

fn nix() -> String {
    String::from_utf8(data::read("nix/narinfo/b.narinfo")).unwrap()
}

fn line<'a>(text: &'a str, key: &str) -> &'a str {
    text.split_inclusive('\n')
        .find(|line| line.starts_with(key))
        .unwrap()
}

/// Both dialects, with a field's line replaced.
fn replaced(key: &str, with: &str) -> [Error; 2] {
    [(Dialect::Guix, guix()), (Dialect::Nix, nix())].map(|(dialect, text)| {
        let changed = text.replacen(line(&text, key), with, 1);
        assert_ne!(changed, text);
        parse(dialect, &changed).unwrap_err()
    })
}

fn value(key: &str, value: &str) -> [ValueError; 2] {
    replaced(key, &format!("{key}: {value}\n")).map(|error| match error {
        Error::Value {
            key: found, source, ..
        } if found == key => source,
        other => panic!("{other:?}"),
    })
}

#[test]
fn missing() {
    for key in ["StorePath", "NarHash", "NarSize", "References"] {
        for error in replaced(key, "") {
            assert!(
                matches!(error, Error::Missing(found) if found == key),
                "{error:?}"
            );
        }
    }
    let text = nix();
    let without = text.replace(line(&text, "URL"), "");
    let expected = Error::Incomplete {
        source_number: 1,
        key: "URL",
    };
    assert_eq!(parse(Dialect::Nix, &without), Err(expected));
    let text = guix();
    let without = text.replace(line(&text, "Compression: zstd"), "");
    let expected = Error::Incomplete {
        source_number: 3,
        key: "Compression",
    };
    assert_eq!(parse(Dialect::Guix, &without), Err(expected));
    let none = &text[..text.find("URL").unwrap()];
    assert_eq!(parse(Dialect::Guix, none), Err(Error::Missing("URL")));
}

#[test]
fn duplicate() {
    for (dialect, text) in [(Dialect::Guix, guix()), (Dialect::Nix, nix())] {
        for key in [
            "StorePath",
            "NarHash",
            "NarSize",
            "References",
            "Compression",
        ] {
            let twice = text.replacen(line(&text, key), &line(&text, key).repeat(2), 1);
            match parse(dialect, &twice) {
                Err(Error::Duplicate { key: found, .. }) => assert_eq!(found, key),
                other => panic!("{other:?}"),
            }
        }
    }
    let text = guix();
    let twice = text.replacen(
        line(&text, "Signature"),
        &line(&text, "Signature").repeat(2),
        1,
    );
    assert!(matches!(
        parse(Dialect::Guix, &twice),
        Err(Error::Duplicate {
            key: "Signature",
            ..
        })
    ));
    let reference = line(&text, "References").trim_end();
    let base = reference.split_once(' ').unwrap().1;
    let twice = text.replace(reference, &format!("{reference} {base}"));
    let error = parse(Dialect::Guix, &twice).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Value {
                source: ValueError::Twice(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        parse(Dialect::Nix, &(nix() + "URL: a\nCompression: none\n")),
        Err(Error::Several)
    );
    let many = nix() + &line(&nix(), "Sig").repeat(100);
    assert!(matches!(
        parse(Dialect::Nix, &many),
        Err(Error::TooMany { key: "Sig", .. })
    ));
}

#[test]
fn paths() {
    for path in [
        "/other/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello",
        "/gnu/store/../store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello",
        "/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-..",
        "/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-a/../../etc",
        "/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd",
        "/gnu/store/EEEE943asrl9dv64zrr1a4kpb25mfafd-hello",
        "2nfg943asrl9dv64zrr1a4kpb25mfafd-hello",
        "",
    ] {
        for error in value("StorePath", path) {
            assert!(matches!(error, ValueError::Path(_)), "{path}: {error:?}");
        }
    }
    for references in [
        "..",
        "a",
        "/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello",
    ] {
        for error in value("References", references) {
            assert!(
                matches!(error, ValueError::Path(_)),
                "{references}: {error:?}"
            );
        }
    }
    let text = guix();
    for deriver in ["", "unknown-deriver", "../x.drv"] {
        let changed = text.replace(line(&text, "Deriver"), &format!("Deriver: {deriver}\n"));
        assert!(matches!(
            parse(Dialect::Guix, &changed),
            Err(Error::Value { key: "Deriver", .. })
        ));
    }
    let other = StoreDir::new("/home/me/gnu/store").unwrap();
    assert!(Narinfo::parse(Dialect::Guix, &other, text.as_bytes()).is_err());
}

#[test]
fn sizes() {
    for size in [
        "-1",
        "+1",
        "0",
        "01",
        "",
        "1.0",
        "0x10",
        " 1",
        "1 ",
        "９",
        "9223372036854775808",
        "18446744073709551617",
    ] {
        for error in value("NarSize", size) {
            assert!(matches!(error, ValueError::Size(_, 1)), "{size}: {error:?}");
        }
    }
    let text = nix();
    let with = |size: &str| text.replace(line(&text, "FileSize"), &format!("FileSize: {size}\n"));
    assert!(parse(Dialect::Nix, &with("-1")).is_err());
    assert_eq!(
        parse(Dialect::Nix, &with("0")).unwrap().sources()[0].file_size,
        Some(0)
    );
}

#[test]
fn hashes() {
    let good = "0g2a0zkl00jf4vwfblgcm9k0n511470nbdml2b1iszxflndf49g1";
    for hash in [
        "",
        good,
        "sha256",
        "sha256:",
        "sha1:0g2a0zkl00jf4vwfblgcm9k0n511470n",
        "md5:00000000000000000000000000000000",
        "blake3:0g2a0zkl00jf4vwfblgcm9k0n511470nbdml2b1iszxflndf49g1",
        "sha256:0G2A0ZKL00JF4VWFBLGCM9K0N511470NBDML2B1ISZXFLNDF49G1",
        "sha256:zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        "sha256:0g2a0zkl00jf4vwfblgcm9k0n511470nbdml2b1iszxflndf49g",
    ] {
        for error in value("NarHash", hash) {
            assert!(
                matches!(error, ValueError::Hash(_) | ValueError::HashForm),
                "{hash}: {error:?}"
            );
        }
    }
    // Only Nix reads other notations.
    let text = guix();
    let hex = format!("NarHash: sha256:{}\n", "0".repeat(64));
    let changed = text.replace(line(&text, "NarHash"), &hex);
    assert!(matches!(
        parse(Dialect::Guix, &changed),
        Err(Error::Value {
            source: ValueError::HashForm,
            ..
        })
    ));
}

#[test]
fn urls_and_compressions() {
    for (url, expected) in [
        ("../../etc/passwd", UrlError::Parent),
        ("nar/%2E%2e/x", UrlError::Parent),
        ("", UrlError::Empty),
        ("nar/a b", UrlError::Character(' ')),
        ("nar/%0ax", UrlError::Character('\n')),
    ] {
        for error in value("URL", url) {
            assert_eq!(error, ValueError::Url(expected.clone()), "{url}");
        }
    }
    for error in replaced("URL", "URL: nar/a\u{1b}[2J\n") {
        assert!(
            matches!(
                error,
                Error::Control {
                    character: '\u{1b}',
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let text = nix();
    let elsewhere = text.replace(line(&text, "URL"), "URL: http://169.254.169.254/x\n");
    let read = parse(Dialect::Nix, &elsewhere).unwrap();
    assert_eq!(read.sources()[0].url.relative(), None);
    let unknown = text.replace("Compression: zstd", "Compression: xyz");
    let read = parse(Dialect::Nix, &unknown).unwrap();
    assert_eq!(
        read.sources()[0].compression,
        Compression::Unknown("xyz".to_owned())
    );
    assert!(!read.sources()[0].compression.is_known());
}

#[test]
fn what_the_signature_does_not_cover() {
    let text = guix();
    let signature = line(&text, "Signature");
    for key in ["StorePath", "NarHash", "NarSize", "References", "Deriver"] {
        let fact = line(&text, key);
        let moved = text.replace(fact, "") + fact;
        match parse(Dialect::Guix, &moved) {
            Err(Error::NotCovered { key: found, .. }) => assert_eq!(found, key),
            other => panic!("{other:?}"),
        }
    }
    let first = format!("{signature}{}", text.replace(signature, ""));
    assert!(matches!(
        parse(Dialect::Guix, &first),
        Err(Error::NotCovered {
            key: "StorePath",
            ..
        })
    ));
    // A source of which the signature covers only half.
    let half = text.replace(
        signature,
        &format!("URL: nar/x\n{signature}Compression: none\n"),
    );
    assert!(matches!(
        parse(Dialect::Guix, &half),
        Err(Error::Incomplete { .. } | Error::Duplicate { .. })
    ));
    for bad in [
        "",
        "1;vm",
        "2;vm;AAAA",
        "1;vm;A",
        "1;;AAAA",
        "1;a b;AAAA",
        "1;vm;/////w==",
    ] {
        let changed = text.replace(signature, &format!("Signature: {bad}\n"));
        let error = parse(Dialect::Guix, &changed).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Value {
                    source: ValueError::GuixSignature,
                    ..
                }
            ),
            "{bad}: {error:?}"
        );
    }
    let bad = nix() + "Sig: x\n";
    assert!(matches!(
        parse(Dialect::Nix, &bad),
        Err(Error::Value { key: "Sig", .. })
    ));
}

#[test]
fn lines() {
    let text = guix();
    let cut = text.trim_end();
    assert_eq!(parse(Dialect::Guix, cut), Err(Error::Cut));
    assert_eq!(parse(Dialect::Guix, ""), Err(Error::Cut));
    for bad in ["\n", "x\n", ": x\n", "a b: c\n", "a:b\n", "<html>\n"] {
        let error = parse(Dialect::Guix, &format!("{text}{bad}")).unwrap_err();
        let count = text.lines().count() + 1;
        assert_eq!(error, Error::Line { line: count }, "{bad}");
    }
    let crlf = text.replace('\n', "\r\n");
    let expected = Error::Control {
        line: 1,
        character: '\r',
    };
    assert_eq!(parse(Dialect::Guix, &crlf), Err(expected));
    let mut bytes = text.clone().into_bytes();
    bytes[3] = 0xff;
    let error = Narinfo::parse(Dialect::Guix, &StoreDir::guix(), &bytes);
    assert_eq!(error, Err(Error::Utf8(3)));
    let large = format!("{text}X: {}\n", "x".repeat(Narinfo::MAX_SIZE));
    assert_eq!(parse(Dialect::Guix, &large), Err(Error::Size(large.len())));
    // What is not known is left alone.
    let unknown = format!("{text}X-Other: x\n");
    assert_eq!(parse(Dialect::Guix, &unknown), parse(Dialect::Guix, &text));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for dialect in [Dialect::Guix, Dialect::Nix] {
            prop_assert!(Narinfo::parse(dialect, &dialect.store_dir(), &bytes).is_err());
        }
    }

    /// Lines in any order and number: it is read or refused, and what is read is printed and read alike.
    #[test]
    fn any_lines_are_read_or_refused(order in proptest::collection::vec(0usize..16, 0..18)) {
        for (dialect, text) in [(Dialect::Guix, guix()), (Dialect::Nix, nix())] {
            let lines: Vec<_> = text.split_inclusive('\n').collect();
            let mixed: String = order.iter().map(|at| lines[at % lines.len()]).collect();
            if let Ok(read) = parse(dialect, &mixed) {
                let again = parse(dialect, &read.print()).unwrap();
                prop_assert_eq!(again.facts(), read.facts());
            }
        }
    }
}
