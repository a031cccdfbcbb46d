//! The test data, and what is made of it.

use grange_signatures::TrustedKeys;
use grange_signatures::guix::{PublicKey, SecretKey};
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

pub(crate) fn read(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap()
}

/// The files of a directory, sorted: name and contents.
pub(crate) fn files(directory: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(path(directory))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    assert!(files.len() > 5);
    files
}

pub(crate) fn secret() -> SecretKey {
    SecretKey::parse(&read("guix/TEST-KEY.sec")).unwrap()
}

pub(crate) fn public() -> PublicKey {
    PublicKey::parse(&read("guix/TEST-KEY.pub")).unwrap()
}

pub(crate) fn trusted() -> TrustedKeys {
    let mut trusted = TrustedKeys::new();
    trusted.add_guix(public());
    trusted
}

/// The value of a string field in a line of JSON that has no escapes but `\n`.
pub(crate) fn field(line: &str, name: &str) -> String {
    let start = line.find(&format!("\"{name}\":\"")).unwrap() + name.len() + 4;
    let end = start + line[start..].find('"').unwrap();
    line[start..end].replace("\\n", "\n")
}
