//! Kernel modules of the initramfs.

use std::fs::{self, File};
use std::io;

use rustix::system::finit_module;

/// Paths of modules, one a line, in the order in which they are to be loaded.
const LIST: &str = "/lib/modules.list";

/// Loads all that are listed. One that does not load is told of; what needs it says more.
pub(super) fn load() {
    let list = match fs::read_to_string(LIST) {
        Ok(list) => list,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return eprintln!("grange-guest: cannot read {LIST}: {error}"),
    };
    for path in list.lines().map(str::trim).filter(|path| !path.is_empty()) {
        let loaded = File::open(path).and_then(|file| Ok(finit_module(&file, c"", 0)?));
        match loaded {
            Ok(()) => {}
            // Loaded already.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => eprintln!("grange-guest: cannot load {path}: {error}"),
        }
    }
}
