//! Disks and programs made up for tests.

use std::fs;
use std::path::{Path, PathBuf};

use grange_vm_image::{Image, ImageStore, ImportOptions};
use tempfile::TempDir;

/// A store, and a directory for files beside it.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) store: ImageStore,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = ImageStore::open(directory.path().join("store")).unwrap();
        Self { directory, store }
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A raw disk with `byte` in it, imported.
    pub(crate) fn imported(&self, name: &str, byte: u8) -> Image {
        let path = self.file(name, &raw(byte));
        let options = ImportOptions::new(name.parse().unwrap());
        self.store.import(&path, &options).unwrap()
    }

    pub(crate) fn reopened(&self) -> ImageStore {
        ImageStore::open(self.store.directory()).unwrap()
    }
}

/// A raw disk: a boot record, and `byte` somewhere.
pub(crate) fn raw(byte: u8) -> Vec<u8> {
    let mut bytes = vec![0; 256 * 1024];
    bytes[510..512].copy_from_slice(b"\x55\xaa");
    bytes[100_000] = byte;
    bytes
}

/// A static program for x86-64, as far as its headers tell.
pub(crate) fn static_program() -> Vec<u8> {
    let mut bytes = vec![0; 120];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[16] = 2; // executable
    bytes[18] = 62; // x86-64
    bytes[32] = 64; // where the program headers are
    bytes[54] = 56; // the size of one
    bytes[56] = 1; // how many
    bytes[64] = 1; // to be loaded
    bytes
}

/// Everything in a directory that counts, by name.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}
