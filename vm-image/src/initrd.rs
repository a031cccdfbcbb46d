//! The initramfs: the guest program, and what it needs to find the root.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::architecture::Architecture;
use crate::cpio::Cpio;
use crate::elf::Elf;
use crate::error::{ImageError, at};
use crate::kernel::{Closure, Module};

/// Where things are mounted, and where the program may put what it makes.
const DIRECTORIES: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("lib", 0o755),
    ("mnt", 0o755),
    ("newroot", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
];

/// Bytes of a guest program.
const MOST_BYTES: u64 = 256 << 20;

/// The guest program's bytes, if it can be `/init`.
pub(crate) fn guest(path: &Path, architecture: Architecture) -> Result<Vec<u8>, ImageError> {
    let not = |what: &str| ImageError::Guest {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let metadata = fs::metadata(path).map_err(at("read", path))?;
    if !metadata.is_file() || metadata.len() > MOST_BYTES {
        return Err(not("it is no file of a program's size"));
    }
    let bytes = fs::read(path).map_err(at("read", path))?;
    let elf = Elf::new(&bytes).ok_or_else(|| not("it is no 64-bit ELF program"))?;
    if elf.machine() != architecture.elf_machine() {
        return Err(not("it is for another kind of machine"));
    }
    match elf.is_static_program() {
        Some(true) => Ok(bytes),
        Some(false) => Err(not(
            "it is not linked statically, and there are no libraries in an initramfs",
        )),
        None => Err(not("it is damaged")),
    }
}

/// Writes the initramfs, uncompressed: without KVM, the kernel takes longer to unpack than to copy.
pub(crate) fn write(guest: &[u8], modules: &Closure, target: &Path) -> Result<(), ImageError> {
    let file = File::create_new(target).map_err(at("make", target))?;
    stream(guest, modules, BufWriter::new(file)).map_err(at("write", target))
}

fn stream(guest: &[u8], modules: &Closure, out: impl Write) -> io::Result<()> {
    let mut cpio = Cpio::new(out);
    for (path, mode) in DIRECTORIES {
        cpio.directory(path, *mode)?;
    }
    // The kernel opens it for /init before anything is mounted.
    cpio.device("dev/console", 0o600, (5, 1))?;
    cpio.file("init", 0o755, guest)?;
    cpio.directory("lib/modules", 0o755)?;
    add(&mut cpio, "lib/modules.list", &modules.first)?;
    add(&mut cpio, "lib/modules.later", &modules.later)?;
    add(&mut cpio, "lib/modules.disk", &modules.for_disks)?;
    cpio.finish()?.flush()
}

/// Adds modules, and their list.
fn add(cpio: &mut Cpio<impl Write>, list: &str, modules: &[Module]) -> io::Result<()> {
    let mut paths = String::new();
    for module in modules {
        let path = format!("lib/modules/{}.ko", module.name);
        paths.push_str(&format!("/{path}\n"));
        cpio.file(&path, 0o644, &module.content)?;
    }
    cpio.file(list, 0o644, paths.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::elf;

    #[test]
    fn only_a_static_program_of_the_machine_is_init() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guest");
        let told = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            guest(&path, Architecture::Amd64).map_err(|error| error.to_string())
        };
        let program = elf(2, 1, b".x", b"");
        assert_eq!(told(&program), Ok(program.clone()));
        assert!(told(b"#!/bin/sh\n").unwrap_err().contains("no 64-bit ELF"));
        assert!(
            told(&elf(3, 3, b".x", b""))
                .unwrap_err()
                .contains("statically")
        );
        let mut other = program;
        other[18] = 183;
        assert!(told(&other).unwrap_err().contains("another kind"));
    }

    #[test]
    fn the_lists_have_the_modules_in_order() {
        let module = |name: &str| Module {
            name: name.to_owned(),
            content: name.as_bytes().to_vec(),
        };
        let mut bytes = Vec::new();
        let modules = Closure {
            first: vec![module("b"), module("a")],
            for_disks: vec![module("d")],
            later: vec![module("c")],
        };
        stream(b"guest", &modules, &mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let lists = text.split("lib/modules.list\0").nth(1).unwrap();
        let (first, later) = lists.split_once("lib/modules.later\0").unwrap();
        assert!(first.contains("/lib/modules/b.ko\n/lib/modules/a.ko\n"));
        let (later, disks) = later.split_once("lib/modules.disk\0").unwrap();
        assert!(later.contains("/lib/modules/c.ko\n"));
        assert!(disks.contains("/lib/modules/d.ko\n"));
        assert!(!first.contains("/lib/modules/c.ko"));
    }
}
