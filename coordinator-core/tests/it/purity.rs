//! What this crate may use.

/// A core does no I/O, so that it needs no crate that does. What is new here has to be looked at.
const ALLOWED: [&str; 6] = [
    "grange-model",
    "foldhash",
    "hashbrown",
    "smallvec",
    "thiserror",
    "uuid",
];

#[test]
fn no_dependency_does_io() {
    let manifest = include_str!("../../Cargo.toml");
    let (_, rest) = manifest.split_once("[dependencies]\n").expect("a section");
    let section = rest.split("\n[").next().expect("its lines");
    let lines = section.lines().filter(|line| !line.trim().is_empty());
    let names = lines.map(|line| line.split(['.', ' ', '=']).next().expect("a name"));
    let names: Vec<_> = names.collect();
    assert_eq!(names, ALLOWED);
    assert!(!manifest.contains("build-dependencies"));
}

#[test]
fn the_lints_are_denied() {
    let root = include_str!("../../src/lib.rs");
    for lint in [
        "disallowed_methods",
        "disallowed_types",
        "iter_over_hash_type",
    ] {
        assert!(root.contains(&format!("clippy::{lint}")), "{lint}");
    }
    let lints = include_str!("../../clippy.toml");
    for path in [
        "std::time::Instant::now",
        "std::collections::HashMap",
        "std::fs::File",
    ] {
        assert!(lints.contains(path), "{path}");
    }
}
