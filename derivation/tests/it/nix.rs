//! Derivations that Nix 2.8.0 wrote, some with Guix twins.

use crate::fixtures::{path, read};
use grange_derivation::{
    Builder, Derivation, DerivationHash, Dialect, ParseErrorKind as Kind, StoreDir, StorePath,
    derivation_hash, graph, nix_json, verify_outputs,
};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

const CASES: [(&str, &str, StoreDir); 4] = [
    ("nix-sandbox", "sandbox", StoreDir::nix()),
    ("nix-env", "env", StoreDir::nix()),
    ("guix-sandbox", "sandbox", StoreDir::guix()),
    ("guix-env", "env", StoreDir::guix()),
];

#[test]
fn output_paths_are_recomputed() {
    for (file, name, store) in CASES {
        let text = read(&format!("sandbox-facts/{file}.drv"));
        let derivation = Derivation::parse(&store, name, &text).unwrap();
        assert!(derivation.print() == text, "{file}");
        verify_outputs(&derivation, |_| None).unwrap();
    }
}

#[test]
fn the_builder_writes_what_nix_and_guix_wrote() {
    for (file, name, store) in CASES {
        let text = read(&format!("sandbox-facts/{file}.drv"));
        let read = Derivation::parse(&store, name, &text).unwrap();
        let implied: &[&str] = match Dialect::of(&store) {
            Dialect::Nix => &["out", "name", "system", "builder"],
            Dialect::Guix => &["out"],
        };
        let mut builder = Builder::new(&store, name, read.system.clone(), read.builder.clone())
            .args(read.args.clone());
        for (name, value) in read
            .env
            .iter()
            .filter(|(name, _)| !implied.iter().any(|implied| implied.as_bytes() == *name))
        {
            builder = builder.env(name.clone(), value.clone());
        }
        for source in &read.input_sources {
            builder = builder.source(source.clone());
        }
        let written = builder.instantiate().unwrap();
        assert!(written.text == text, "{file}");
        assert_eq!(written.path, read.path().unwrap());
    }
}

#[test]
fn dialects() {
    assert_eq!(Dialect::of(&StoreDir::guix()), Dialect::Guix);
    assert_eq!(Dialect::of(&StoreDir::nix()), Dialect::Nix);
    assert_eq!(
        Dialect::of(&StoreDir::new("/tmp/gnu/store").unwrap()),
        Dialect::Guix
    );
    assert_eq!(
        Dialect::of(&StoreDir::new("/srv/store").unwrap()),
        Dialect::Nix
    );
    assert_eq!(
        Dialect::Guix.build_dir("hello-2"),
        "/tmp/guix-build-hello-2.drv-0"
    );
    assert_eq!(Dialect::Nix.build_dir("hello-2"), "/build");
}

/// The files of a directory of fixtures that are derivations.
fn texts(directory: &str) -> BTreeMap<StorePath, Vec<u8>> {
    let names = std::fs::read_dir(path(directory))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| name.ends_with(".drv"));
    names
        .map(|name| {
            (
                StorePath::from_base_name(&StoreDir::nix(), &name).unwrap(),
                read(&format!("{directory}/{name}")),
            )
        })
        .collect()
}

fn parse(path: &StorePath, text: &[u8]) -> Result<Derivation, grange_derivation::ParseError> {
    Derivation::parse(path.store(), path.derivation_name().unwrap(), text)
}

#[test]
fn a_whole_graph_of_nix_is_recomputed() {
    let texts = texts("nix-2.8");
    let derivations: BTreeMap<_, _> = texts
        .iter()
        .map(|(path, text)| (path.clone(), parse(path, text).unwrap()))
        .collect();
    let inputs = |path: &StorePath| -> Result<Vec<StorePath>, Infallible> {
        Ok(derivations[path]
            .input_derivations
            .keys()
            .cloned()
            .collect())
    };
    let order = graph::topological(derivations.keys().cloned(), inputs).unwrap();
    let mut hashes: HashMap<StorePath, DerivationHash> = HashMap::new();
    for path in order {
        let derivation = &derivations[&path];
        assert!(derivation.print() == texts[&path], "{path}");
        assert_eq!(derivation.path().unwrap(), path);
        let lookup = |path: &StorePath| hashes.get(path).copied();
        verify_outputs(derivation, lookup).unwrap_or_else(|error| panic!("{path}: {error}"));
        derivation.options().unwrap();
        hashes.insert(path, derivation_hash(derivation, lookup).unwrap());
    }
    let shown: serde_json::Value =
        serde_json::from_slice(&read("nix-2.8/show-derivation.json")).unwrap();
    let shown_paths = shown
        .as_object()
        .unwrap()
        .keys()
        .map(|path| StorePath::parse_any(path).unwrap());
    let members: Vec<_> = shown_paths
        .map(|path| derivations.get_key_value(&path).unwrap())
        .collect();
    assert_eq!((members.len(), derivations.len()), (76, 76));
    assert!(
        nix_json(members).unwrap() == shown,
        "the JSON is not what `nix show-derivation` printed"
    );
}

#[test]
fn experimental_derivations_are_refused_by_what_they_are() {
    let found: BTreeMap<_, _> = texts("nix-refused")
        .iter()
        .map(|(path, text)| {
            (
                path.derivation_name().unwrap().to_owned(),
                parse(path, text).unwrap_err().kind,
            )
        })
        .collect();
    assert!(matches!(found["floating"], Kind::Floating(_)));
    assert!(matches!(found["deferred"], Kind::Deferred(_)));
    assert!(matches!(found["impure"], Kind::Impure(_)));
}

#[test]
fn a_dialect_is_written_in_lower_case() {
    let written = [Dialect::Guix, Dialect::Nix].map(|dialect| dialect.to_string());
    assert_eq!(written, ["guix", "nix"]);
}
