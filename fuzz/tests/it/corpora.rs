//! Each target takes its corpus.

use std::fs;
use std::path::{Path, PathBuf};

use grange_fuzz::{TARGETS, Target, target};

/// Bytes that all corpora have at most.
const MAX_CORPORA: u64 = 2 << 20;

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The files of a corpus, sorted.
pub(crate) fn inputs(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(corpora().join(name)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(name: &str) {
    let Target { run, max_len, .. } = target(name).unwrap();
    let files = inputs(name);
    assert!(!files.is_empty(), "the corpus of {name} is empty");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let shown = file.display();
        assert!(bytes.len() <= *max_len, "{shown} is too long");
        let outcome = std::panic::catch_unwind(|| run(&bytes));
        assert!(outcome.is_ok(), "{shown}");
    }
    // What is cut is no more dangerous.
    for file in inputs(name).iter().take(20) {
        let bytes = fs::read(file).unwrap();
        run(&bytes[..bytes.len() / 2]);
    }
    run(&[]);
}

macro_rules! replays {
    ($($test:ident $name:literal)*) => {
        $(
            #[test]
            fn $test() {
                replay($name);
            }
        )*

        const REPLAYED: &[&str] = &[$($name),*];
    };
}

replays! {
    answers "answers"
    base32 "base32"
    cache_info "cache-info"
    calls "calls"
    config "config"
    core "core"
    daemon "daemon"
    daemon_guix "daemon-guix"
    daemon_nix "daemon-nix"
    decompress "decompress"
    derivation "derivation"
    disk "disk"
    export "export"
    frames "frames"
    graph "graph"
    guest_frames "guest-frames"
    keys "keys"
    machine "machine"
    message "message"
    nar "nar"
    narinfo_guix "narinfo-guix"
    narinfo_nix "narinfo-nix"
    pages "pages"
    qmp "qmp"
    recipe "recipe"
    record "record"
    recording "recording"
    requests "requests"
    scheme "scheme"
    secrets "secrets"
    sexp "sexp"
    store_path "store-path"
    substitute_server "substitute-server"
    traps "traps"
    unpack "unpack"
    values "values"
}

#[test]
fn each_target_has_a_corpus_and_a_test() {
    let targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(targets, REPLAYED);
    let entries = fs::read_dir(corpora()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, targets);
}

#[test]
fn corpora_are_small() {
    let files = TARGETS.iter().flat_map(|target| inputs(target.name));
    let bytes: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= MAX_CORPORA, "{bytes} bytes");
}
