//! What the builder writes, and what it refuses.

use grange_derivation::{
    Builder, BuilderError, Derivation, Hash, Instantiated, StoreDir, StorePath, verify_outputs,
};

fn new(store: &StoreDir, name: &str) -> Builder {
    Builder::new(store, name, "x86_64-linux", "/bin/sh")
}

fn check(written: &Instantiated, inputs: &[&Instantiated]) {
    let derivation = &written.derivation;
    let read = Derivation::parse(&derivation.store, &derivation.name, &written.text).unwrap();
    assert_eq!(read, *derivation);
    assert_eq!(read.path().unwrap(), written.path);
    let lookup = |path: &StorePath| {
        inputs
            .iter()
            .find(|input| input.path == *path)
            .map(|input| input.hash)
    };
    verify_outputs(derivation, lookup).unwrap();
}

#[test]
fn what_is_written_is_true() {
    for store in [
        StoreDir::guix(),
        StoreDir::nix(),
        StoreDir::new("/srv/grange/store").unwrap(),
    ] {
        let source = new(&store, "source")
            .fixed(true, Hash::sha256(b""))
            .instantiate()
            .unwrap();
        let file = new(&store, "file").fixed(
            false,
            Hash::parse_any("sha1:a9993e364706816aba3e25717850c26c9cd0d89d").unwrap(),
        );
        let file = file.instantiate().unwrap();
        let library = new(&store, "library")
            .output("out")
            .output("lib")
            .input(&source, &["out"])
            .env("quote", "\"\n\t\r\\");
        let library = library.instantiate().unwrap();
        let program = new(&store, "program")
            .input(&library, &["lib", "out"])
            .input(&file, &["out"])
            .arg([0xff, 0])
            .instantiate();
        let program = program.unwrap();
        check(&source, &[]);
        check(&file, &[]);
        check(&library, &[&source]);
        check(&program, &[&library, &file]);
        assert_eq!(library.outputs().count(), 2);
        assert_eq!(library.output("lib").unwrap().name(), "library-lib");
        assert!(library.output("doc").is_none());
    }
}

/// The reason for hashes modulo fixed outputs: how a source is fetched does not change what is built from it.
#[test]
fn another_mirror_changes_no_output() {
    let store = StoreDir::guix();
    let user = |url: &str| {
        let source = new(&store, "source")
            .env("url", url)
            .fixed(false, Hash::sha256(b""))
            .instantiate()
            .unwrap();
        new(&store, "user")
            .input(&source, &["out"])
            .instantiate()
            .unwrap()
    };
    let (one, other) = (user("https://one"), user("https://other"));
    assert_ne!(one.path, other.path);
    assert_ne!(one.text, other.text);
    assert_eq!(one.output("out"), other.output("out"));
    assert_eq!(one.hash, other.hash);

    let both = new(&store, "both")
        .input(&one, &["out"])
        .input(&other, &["out"])
        .instantiate()
        .unwrap();
    let once = new(&store, "both")
        .input(&one, &["out"])
        .instantiate()
        .unwrap();
    assert_eq!(
        both.output("out"),
        once.output("out"),
        "inputs with one hash count once"
    );
}

#[test]
fn refused() {
    let (guix, nix) = (StoreDir::guix(), StoreDir::nix());
    let input = new(&guix, "input").instantiate().unwrap();
    let other = new(&nix, "input").instantiate().unwrap();
    let error = |builder: Builder| builder.instantiate().unwrap_err();
    assert!(matches!(
        error(new(&guix, "a b")),
        BuilderError::Name { .. }
    ));
    assert!(
        matches!(
            error(new(&guix, &"x".repeat(209))),
            BuilderError::Name { .. }
        ),
        "no room for `.drv`"
    );
    assert!(matches!(
        error(new(&guix, &"x".repeat(207)).output("library")),
        BuilderError::Name { .. }
    ));
    assert!(matches!(
        error(new(&guix, "x").output("")),
        BuilderError::OutputName { .. }
    ));
    assert!(matches!(
        error(new(&guix, "x").output("lib").fixed(true, Hash::sha256(b""))),
        BuilderError::FixedOutputs
    ));
    assert!(matches!(
        error(new(&guix, "x").env("out", "")),
        BuilderError::OutputVariable(_)
    ));
    assert!(matches!(
        error(new(&guix, "x").input(&input, &["lib"])),
        BuilderError::NoSuchOutput { .. }
    ));
    assert!(matches!(
        error(new(&guix, "x").input(&input, &[])),
        BuilderError::NoOutputs(_)
    ));
    assert!(matches!(
        error(new(&guix, "x").input(&other, &["out"])),
        BuilderError::OtherStore(_)
    ));
    assert!(matches!(
        error(new(&guix, "x").source(other.path.clone())),
        BuilderError::OtherStore(_)
    ));
    let source = input.output("out").unwrap().clone();
    assert!(matches!(
        error(new(&guix, "x").input_path(source, input.hash, &["out"])),
        BuilderError::NoDerivation(_)
    ));
}
