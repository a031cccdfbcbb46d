//! Store paths: text, order, and how they follow from contents.

use grange_derivation::{
    Hash, HashAlgo, NameError, OutputName, StoreDir, StorePath, StorePathError, paths,
};
use std::collections::HashSet;

const HELLO: &str = "/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello-2.12.2.drv";

#[test]
fn parts() {
    let path = StorePath::parse(&StoreDir::guix(), HELLO).unwrap();
    assert_eq!(path.to_string(), HELLO);
    assert_eq!(path.hash_part(), "2nfg943asrl9dv64zrr1a4kpb25mfafd");
    assert_eq!(path.name(), "hello-2.12.2.drv");
    assert_eq!(
        path.base_name(),
        "2nfg943asrl9dv64zrr1a4kpb25mfafd-hello-2.12.2.drv"
    );
    assert!(path.is_derivation());
    assert_eq!(path.derivation_name(), Some("hello-2.12.2"));
    assert_eq!(StorePath::parse_any(HELLO), Ok(path.clone()));
    assert_eq!(
        StorePath::new(path.store(), *path.digest(), path.name()),
        Ok(path.clone())
    );
    let inside = format!("{HELLO}/bin/x");
    assert_eq!(
        StorePath::parse_inside(path.store(), inside.as_bytes()),
        Ok((path.clone(), b"/bin/x".as_slice()))
    );
    assert_eq!(
        StorePath::parse_inside(path.store(), HELLO.as_bytes()),
        Ok((path, b"".as_slice()))
    );
}

#[test]
fn refused() {
    let store = StoreDir::guix();
    let hash = "2nfg943asrl9dv64zrr1a4kpb25mfafd";
    let parse = |path: String| StorePath::parse(&store, path).unwrap_err();
    assert!(matches!(
        parse(format!("/nix/store/{hash}-a")),
        StorePathError::OtherStore { .. }
    ));
    assert!(matches!(
        parse(format!("/gnu/store{hash}-a")),
        StorePathError::OtherStore { .. }
    ));
    assert!(matches!(
        parse("/gnu/store".into()),
        StorePathError::OtherStore { .. }
    ));
    assert!(matches!(
        parse("/gnu/store/".into()),
        StorePathError::HashPart { .. }
    ));
    assert!(matches!(
        parse(format!("/gnu/store/{hash}")),
        StorePathError::HashPart { source: None, .. }
    ));
    assert!(matches!(
        parse(format!("/gnu/store/{}e-a", &hash[1..])),
        StorePathError::HashPart {
            source: Some(_),
            ..
        }
    ));
    for (name, expected) in [
        ("", NameError::Empty),
        (".a", NameError::Dot),
        (
            "a/b",
            NameError::Character {
                offset: 1,
                byte: b'/',
            },
        ),
        (
            "a\u{e9}",
            NameError::Character {
                offset: 1,
                byte: 0xc3,
            },
        ),
        (&"x".repeat(212), NameError::Long(212)),
    ] {
        match parse(format!("/gnu/store/{hash}-{name}")) {
            StorePathError::Name { source, .. } => assert_eq!(source, expected),
            other => panic!("{name}: {other}"),
        }
    }
    for path in ["", "a", "/", "/a", "store/x", "//x"] {
        assert!(StorePath::parse_any(path).is_err(), "{path}");
    }
    assert!(StorePath::parse_inside(&store, b"/gnu").is_err());
}

#[test]
fn a_name_of_211_bytes_is_the_longest() {
    let store = StoreDir::guix();
    let longest = "x".repeat(211);
    let path = StorePath::new(&store, [0; 20], &longest).unwrap();
    assert_eq!(path.name(), longest);
    assert_eq!(StorePath::parse(&store, path.to_string()), Ok(path));
}

#[test]
fn a_message_shows_300_bytes_of_a_path_that_is_none() {
    let shown = |length: usize| StorePath::parse_any("x".repeat(length)).unwrap_err();
    let whole = "x".repeat(300);
    assert_eq!(shown(300), StorePathError::NoStore(whole.clone()));
    assert_eq!(shown(301), StorePathError::NoStore(whole.clone() + "..."));
    assert_eq!(shown(9_000), StorePathError::NoStore(whole + "..."));
}

#[test]
fn an_output_is_found_by_its_name_as_text() {
    let names = ["out", "lib"].map(|name| OutputName::new(name).unwrap());
    let names = HashSet::from(names);
    assert!(names.contains("out") && names.contains("lib") && !names.contains("bin"));
}

#[test]
fn an_output_is_compared_with_text() {
    let lib = OutputName::new("lib").unwrap();
    assert!(lib == *"lib" && lib == "lib");
    assert!(lib != *"out" && lib != "out");
}

#[test]
fn order_is_that_of_the_text() {
    let stores = [
        "/gnu/store",
        "/gnu/store2",
        "/gnu/store-x",
        "/a",
        "/gnu/store/b",
    ]
    .map(|text| StoreDir::new(text).unwrap());
    let mut paths = Vec::new();
    for store in &stores {
        for digest in [[0; 20], [255; 20], [1; 20]] {
            for at in [0, 10, 19] {
                for name in ["a", "a-b", "A", "b"] {
                    let mut digest = digest;
                    digest[at] ^= 64;
                    paths.push(StorePath::new(store, digest, name).unwrap());
                }
            }
        }
    }
    paths.sort();
    let sorted: Vec<_> = paths.iter().map(ToString::to_string).collect();
    let mut texts = sorted.clone();
    texts.sort();
    assert_eq!(sorted, texts);
}

/// The rules' edges; that they are right is shown by the real derivations in `guix`, `closure` and `nix`.
#[test]
fn rules() {
    let store = StoreDir::guix();
    // items.jsonl: an empty file added as a source.
    let nar =
        Hash::parse_any("sha256:77ac62e2629d8e45f624589c0c8bf99e24b3a722349bf1e79bc186008534e246")
            .unwrap();
    let source = paths::source_path(&store, "empty", [], false, &nar.to_sha256().unwrap()).unwrap();
    assert_eq!(
        source.to_string(),
        "/gnu/store/wfrspqczpqx3vdgm74a4prnsj6iklfc9-empty"
    );
    assert_eq!(
        paths::fixed_output_path(&store, "empty", true, &nar),
        Ok(source.clone())
    );
    let with_self =
        paths::source_path(&store, "empty", [], true, &nar.to_sha256().unwrap()).unwrap();
    let with_reference =
        paths::source_path(&store, "empty", [&source], false, &nar.to_sha256().unwrap()).unwrap();
    assert!(with_self != source && with_reference != source && with_self != with_reference);

    let reversed = paths::text_path(&store, "t", [&with_self, &source, &source], &[0; 32]);
    assert_eq!(
        reversed,
        paths::text_path(&store, "t", [&source, &with_self], &[0; 32]),
        "references are a set"
    );

    let sha1 = Hash::new(HashAlgo::Sha1, &[0; 20]).unwrap();
    assert_ne!(
        paths::fixed_output_path(&store, "x", true, &sha1),
        paths::fixed_output_path(&store, "x", false, &sha1)
    );
    let lib = OutputName::new("lib").unwrap();
    assert_eq!(
        paths::output_path(&store, "x", &lib, &[0; 32])
            .unwrap()
            .name(),
        "x-lib"
    );
    assert_eq!(
        paths::output_path(&store, &"x".repeat(210), &lib, &[0; 32]),
        Err(NameError::Long(214))
    );
}
