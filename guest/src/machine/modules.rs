//! Kernel modules of the initramfs.

use std::fs::{self, File};
use std::io;

use rustix::system::finit_module;

/// Paths of the modules without which the host cannot be served, one a line, in the order in which they are to be loaded.
const FIRST: &str = "/lib/modules.list";
/// The same of those that are needed for a disk for what is written.
const FOR_DISKS: &str = "/lib/modules.disk";
/// The same of all others.
const LATER: &str = "/lib/modules.later";

/// Modules that are not loaded yet. Their files may be removed meanwhile.
#[derive(Debug, Default)]
pub(super) struct Later(Vec<(String, File)>);

/// Loads those that are needed first. One that does not load is told of; what needs it says more.
pub(super) fn load_first() {
    load_all(FIRST);
}

/// Loads those that only a machine with a disk needs. They may depend on all others.
pub(super) fn load_for_disks() {
    load_all(FOR_DISKS);
}

fn load_all(names: &str) {
    for path in list(names) {
        match File::open(&path) {
            Ok(file) => load(&path, &file),
            Err(error) => cannot_load(&path, &error),
        }
    }
}

impl Later {
    /// All others.
    pub(super) fn open() -> Self {
        let opened = list(LATER).into_iter().filter_map(|path| {
            let file = File::open(&path);
            let file = file.inspect_err(|error| cannot_load(&path, error)).ok()?;
            Some((path, file))
        });
        Self(opened.collect())
    }

    /// Loads them, and has none left then.
    pub(super) fn load(&mut self) {
        for (path, file) in self.0.drain(..) {
            load(&path, &file);
        }
    }
}

fn list(path: &str) -> Vec<String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            eprintln!("grange-guest: cannot read {path}: {error}");
            String::new()
        }
    };
    let paths = text.lines().map(str::trim).filter(|path| !path.is_empty());
    paths.map(str::to_owned).collect()
}

fn load(path: &str, file: &File) {
    match finit_module(file, c"", 0) {
        // Loaded already.
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => cannot_load(path, &error.into()),
    }
}

fn cannot_load(path: &str, error: &io::Error) {
    eprintln!("grange-guest: cannot load {path}: {error}");
}
